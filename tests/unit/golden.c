#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "tests/unit/golden.h"

#define GOLDEN_MAX (1u << 20)

static void golden_path(const char *name, char *path, size_t size)
{
	const char *dir = getenv("TEST_DATA");

	assert_non_null(dir);
	snprintf(path, size, "%s/%s", dir, name);
}

char *golden_read(const char *name)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[512], *data;
	size_t n;

	golden_path(name, path, sizeof(path));
	f = fopen(path, "re");
	if (!f)
		fail_msg("%s cannot be read", path);
	data = calloc(1, GOLDEN_MAX);
	assert_non_null(data);
	n = fread(data, 1, GOLDEN_MAX - 1, f);
	data[n] = '\0';
	return data;
}

static void golden_write(const char *name, const char *text)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[512];

	golden_path(name, path, sizeof(path));
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
}

void golden_check(const char *name, const char *text)
{
	_cleanup_free_ char *expected = NULL;

	if (getenv("UPDATE_GOLDEN"))
		golden_write(name, text);
	expected = golden_read(name);
	if (strcmp(expected, text) == 0)
		return;
	/* cmocka cuts messages. */
	fprintf(stderr, "expected:\n%s\ngot:\n%s\n", expected, text);
	fail_msg("%s is not as expected", name);
}
