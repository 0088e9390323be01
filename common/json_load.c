/*
 * jansson's parser (2.14) does not survive a lack of memory: what it cannot store of a text it
 * leaves out, and goes on. "100.64.0.12" becomes "100.64.0.1"; a lost quote makes it run past the
 * end of its buffer. So the first allocation that fails ends the parser there and then, and what it
 * had allocated until then is freed here. Blocks are the C library's own: whatever else jansson
 * made, or hands out, is not touched by this.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/json.h"

/* How far back a block is looked for: what the parser frees is mostly what it allocated last. */
#define LOOK_BACK 32u

struct blocks {
	void **items;
	size_t n, size;
};

static _Thread_local struct {
	bool active;
	jmp_buf out_of_memory;
	struct blocks allocated;
	struct blocks freed; /* of these, what the parser has given back */
} parser;

static _Thread_local bool lost; /* see json_lost() */

static int blocks_add(struct blocks *blocks, void *p)
{
	size_t more = blocks->size ? blocks->size * 2 : 256;
	void **bigger;

	if (blocks->n == blocks->size) {
		bigger = reallocarray(blocks->items, more, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		blocks->items = bigger;
		blocks->size = more;
	}
	blocks->items[blocks->n++] = p;
	return 0;
}

static int address_order(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (void *const *)a, y = (uintptr_t) * (void *const *)b;

	return (x > y) - (x < y);
}

/* How many of the sorted blocks are p, from *i on, which is moved behind them. */
static size_t blocks_count(const struct blocks *blocks, const void *p, size_t *i)
{
	size_t n = 0;

	while (*i < blocks->n && address_order(&blocks->items[*i], &p) < 0)
		++*i;
	for (; *i < blocks->n && blocks->items[*i] == p; ++*i)
		n++;
	return n;
}

/* An address may have been allocated again after it was freed: it is there if more often. */
static void free_allocated(struct blocks *allocated, struct blocks *freed)
{
	if (allocated->n > 1)
		qsort(allocated->items, allocated->n, sizeof(void *), address_order);
	if (freed->n > 1)
		qsort(freed->items, freed->n, sizeof(void *), address_order);
	for (size_t i = 0, j = 0; i < allocated->n;) {
		void *p = allocated->items[i];

		if (blocks_count(allocated, p, &i) > blocks_count(freed, p, &j))
			free(p);
	}
}

static void blocks_done(struct blocks *blocks)
{
	free(blocks->items);
	*blocks = (struct blocks){ 0 };
}

static void *parser_malloc(size_t size)
{
	void *p = malloc(size);

	if (!parser.active) {
		lost |= !p;
		return p;
	}
	if (!p || blocks_add(&parser.allocated, p) < 0) {
		free(p);
		longjmp(parser.out_of_memory, 1);
	}
	return p;
}

/* Return: whether it was among the newest, and is forgotten. */
static bool forget(const void *p)
{
	struct blocks *blocks = &parser.allocated;

	for (size_t i = blocks->n; i > 0 && i + LOOK_BACK > blocks->n; i--) {
		if (blocks->items[i - 1] == p) {
			blocks->items[i - 1] = blocks->items[--blocks->n];
			return true;
		}
	}
	return false;
}

/*
 * A block that is not found soon is noted as freed: looking further would let a small text cost
 * much time. It is freed at once nevertheless: the name of a member is held until its value has
 * been read, and kept any longer it would leave a hole in front of each long list. Those would fill
 * with what stays, which so held the pages of the whole document.
 */
static void parser_free(void *p)
{
	if (parser.active && p && !forget(p) && blocks_add(&parser.freed, p) < 0)
		longjmp(parser.out_of_memory, 1);
	free(p);
}

/* What it allocated is the caller's now; or it is freed. */
static void parser_done(bool failed)
{
	parser.active = false;
	if (failed)
		free_allocated(&parser.allocated, &parser.freed);
	blocks_done(&parser.freed);
	blocks_done(&parser.allocated);
}

void json_watch_memory(void)
{
	json_set_alloc_funcs(parser_malloc, parser_free);
}

bool json_lost(void)
{
	bool was_lost = lost;

	lost = false;
	return was_lost;
}

int json_load(const char *text, size_t len, size_t flags, json_error_t *ret_error,
	      json_t **ret_value)
{
	json_t *value;

	json_watch_memory();
	lost = false;
	parser.active = true;
	if (setjmp(parser.out_of_memory) != 0) {
		parser_done(true);
		return -ENOMEM;
	}
	value = json_loadb(text, len, flags, ret_error);
	parser_done(false);
	if (!value)
		return -EINVAL;
	*ret_value = value;
	return 0;
}
