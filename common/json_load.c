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

static _Thread_local struct {
	bool active;
	jmp_buf out_of_memory;
	void **blocks; /* allocated, and not freed yet */
	size_t n_blocks, n_allocated;
} parser;

static _Thread_local bool lost; /* see json_lost() */

static int remember(void *p)
{
	size_t more = parser.n_allocated ? parser.n_allocated * 2 : 256;
	void **bigger;

	if (parser.n_blocks == parser.n_allocated) {
		bigger = reallocarray(parser.blocks, more, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		parser.blocks = bigger;
		parser.n_allocated = more;
	}
	parser.blocks[parser.n_blocks++] = p;
	return 0;
}

static void *parser_malloc(size_t size)
{
	void *p = malloc(size);

	if (!parser.active) {
		lost |= !p;
		return p;
	}
	if (!p || remember(p) < 0) {
		free(p);
		longjmp(parser.out_of_memory, 1);
	}
	return p;
}

/* What the parser frees while it goes on is mostly what it allocated last. */
static void parser_free(void *p)
{
	for (size_t i = parser.active ? parser.n_blocks : 0; i-- > 0;) {
		if (parser.blocks[i] == p) {
			parser.blocks[i] = parser.blocks[--parser.n_blocks];
			break;
		}
	}
	free(p);
}

/* Forgets the blocks, which are the caller's now; or frees them. */
static void parser_done(bool with_blocks)
{
	parser.active = false;
	while (with_blocks && parser.n_blocks > 0)
		free(parser.blocks[--parser.n_blocks]);
	free(parser.blocks);
	parser.blocks = NULL;
	parser.n_blocks = parser.n_allocated = 0;
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
