/*
 * jansson's parser (2.14) does not survive a lack of memory: what it cannot store of a text it
 * leaves out, and goes on. "100.64.0.12" becomes "100.64.0.1"; a lost quote makes it run past the
 * end of its buffer. So the first allocation that fails ends the parser there and then, and what it
 * had allocated until then is freed here. Blocks are the C library's own: whatever else jansson
 * made, or hands out, is not touched by this.
 */
#include <errno.h>
#include <setjmp.h>
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
	struct blocks to_free; /* of these, what the parser has given back */
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

static void blocks_done(struct blocks *blocks, bool with_contents)
{
	while (with_contents && blocks->n > 0)
		free(blocks->items[--blocks->n]);
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
 * A block that is not found soon waits for the end of the parser: looking further would let a small
 * text cost much time.
 */
static void parser_free(void *p)
{
	if (!parser.active || !p || forget(p))
		free(p);
	else if (blocks_add(&parser.to_free, p) < 0)
		longjmp(parser.out_of_memory, 1);
}

/* What it allocated is the caller's now; or it is freed. */
static void parser_done(bool failed)
{
	parser.active = false;
	blocks_done(&parser.to_free, !failed);
	blocks_done(&parser.allocated, failed);
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
