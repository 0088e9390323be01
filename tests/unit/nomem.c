/*
 * malloc() and its kin replace the C library's (glibc manual, "Replacing malloc"), so that
 * libraries and libc itself meet the failures as well. Sanitizers replace them by their own: there
 * the linker's --wrap puts ours before them in what is linked statically, and functions that
 * allocate inside libc are wrapped one by one.
 */
#include "tests/unit/nomem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX_ALLOCATIONS 100000u

static struct {
	bool armed, inside;
	bool all_later; /* not only the one fails */
	unsigned n;	/* allocations so far */
	unsigned failing;
	unsigned n_failed;
	long n_live; /* of all that were made inside; sanitizers count for themselves */
} nomem;

static bool fails(void)
{
	if (!nomem.armed || !nomem.inside)
		return false;
	nomem.n++;
	if (nomem.n < nomem.failing || (nomem.n > nomem.failing && !nomem.all_later))
		return false;
	nomem.n_failed++;
	errno = ENOMEM;
	return true;
}

#ifdef NOMEM_WRAP

#define OURS(name)	 __wrap_##name
#define THEIR(name)	 __real_##name
#define count_live(p, n) (p)

#else

#define OURS(name)  name
#define THEIR(name) __libc_##name

static void *count_live(void *p, long n)
{
	if (p && nomem.armed)
		nomem.n_live += n;
	return p;
}

#endif

void *THEIR(malloc)(size_t size);
void *THEIR(calloc)(size_t n, size_t size);
void *THEIR(realloc)(void *p, size_t size);
void *OURS(malloc)(size_t size);
void *OURS(calloc)(size_t n, size_t size);
void *OURS(realloc)(void *p, size_t size);

void *OURS(malloc)(size_t size)
{
	return fails() ? NULL : count_live(THEIR(malloc)(size), 1);
}

void *OURS(calloc)(size_t n, size_t size)
{
	return fails() ? NULL : count_live(THEIR(calloc)(n, size), 1);
}

void *OURS(realloc)(void *p, size_t size)
{
	if (fails())
		return NULL;
	return p ? THEIR(realloc)(p, size) : count_live(THEIR(malloc)(size), 1);
}

#ifdef NOMEM_WRAP

char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
int __real_vasprintf(char **ret, const char *fmt, va_list ap);
FILE *__real_open_memstream(char **ret, size_t *ret_len);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_vasprintf(char **ret, const char *fmt, va_list ap);
FILE *__wrap_open_memstream(char **ret, size_t *ret_len);

char *__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return fails() ? NULL : __real_strndup(s, n);
}

int __wrap_vasprintf(char **ret, const char *fmt, va_list ap)
{
	return fails() ? -1 : __real_vasprintf(ret, fmt, ap);
}

FILE *__wrap_open_memstream(char **ret, size_t *ret_len)
{
	return fails() ? NULL : __real_open_memstream(ret, ret_len);
}

#else

void __libc_free(void *p);
void free(void *p);

void free(void *p)
{
	(void)count_live(p, -1);
	__libc_free(p);
}

#endif

void nomem_begin(void)
{
	nomem.inside = true;
}

void nomem_end(void)
{
	nomem.inside = false;
}

/* Return: whether anything had to fail. */
static bool try_one(const char *what, nomem_fn fn, void *userdata, unsigned failing, bool all_later)
{
	int r;

	nomem.failing = failing;
	nomem.all_later = all_later;
	nomem.n = nomem.n_failed = 0;
	nomem.n_live = 0;
	nomem.armed = true;
	r = fn(userdata);
	nomem.armed = false;
	if (nomem.inside)
		fail_msg("%s: allocation %u: nomem_end() is missing", what, failing);
	if (r != 0 && (r != -ENOMEM || nomem.n_failed == 0))
		fail_msg("%s: allocation %u%s failed: %s, not what was expected", what, failing,
			 all_later ? " and all later ones" : "", strerror(-r));
	if (nomem.n_live != 0)
		fail_msg("%s: allocation %u%s failed: %ld pieces of memory were left behind", what,
			 failing, all_later ? " and all later ones" : "", nomem.n_live);
	return nomem.n_failed > 0;
}

void nomem_try(const char *what, nomem_fn fn, void *userdata)
{
	unsigned n = 0;

	/* What is made once for all stays: it is no leak. */
	assert_int_equal(fn(userdata), 0);
	while (try_one(what, fn, userdata, n + 1, false)) {
		assert_true(try_one(what, fn, userdata, n + 1, true));
		n++;
		assert_true(n < MAX_ALLOCATIONS);
	}
	print_message("%s: %u allocations, each of which failed\n", what, n);
	assert_true(n > 0);
}
