#include "coord/map/texts.h"

#include <errno.h>
#include <stdlib.h>

#include "coord/policy/hash.h"

#define MAX_BYTES (64u << 20) /* kept */
#define NODES_OWN ((uint64_t)1 << 63)

void texts_clear(struct texts *texts)
{
	for (size_t i = 0; i < texts->size; i++)
		policy_text_done(&texts->items[i].text);
	free(texts->items);
	policy_text_done(&texts->own.text);
	*texts = (struct texts){ .kind = texts->kind };
}

void texts_done(struct texts *texts)
{
	texts_clear(texts);
}

uint64_t texts_serial(const struct texts *texts, const struct policy_engine *engine, uint32_t node)
{
	uint64_t serial = texts->kind == TEXTS_FILTER ? policy_filter_serial(engine, node)
						      : policy_ssh_serial(engine, node);

	return serial + 1;
}

static uint64_t key_of(const struct texts *texts, const struct policy_engine *engine, uint32_t node)
{
	return texts->kind == TEXTS_FILTER ? policy_filter_key(engine, node)
					   : policy_ssh_key(engine, node);
}

static int make_text(const struct texts *texts, struct policy_engine *engine, uint32_t node,
		     struct shared_text *item)
{
	int r;

	item->text.len = 0;
	r = texts->kind == TEXTS_FILTER ? policy_filter_json(engine, node, &item->text)
					: policy_ssh_json(engine, node, &item->text);
	if (r == 0)
		r = map_hash_make(item->text.data, item->text.len, &item->hash);
	/* Text that has failed once stays so. */
	if (r < 0)
		policy_text_done(&item->text);
	return r;
}

/* The item of the key, or a free one. */
static struct shared_text *find(struct shared_text *items, size_t size, uint64_t key)
{
	size_t i = hash_bytes(&key, sizeof(key)) & (size - 1);

	while (items[i].serial && items[i].key != key)
		i = (i + 1) & (size - 1);
	return &items[i];
}

static int grow_table(struct texts *texts)
{
	size_t size = texts->size ? 2 * texts->size : 64;
	struct shared_text *items;

	if (texts->n < texts->size / 2)
		return 0;
	items = calloc(size, sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < texts->size; i++)
		if (texts->items[i].serial)
			*find(items, size, texts->items[i].key) = texts->items[i];
	free(texts->items);
	texts->items = items;
	texts->size = size;
	return 0;
}

static int refresh(struct texts *texts, struct policy_engine *engine, uint32_t node,
		   uint64_t serial, struct shared_text *item)
{
	size_t before = item->text.len;
	int r = make_text(texts, engine, node, item);

	if (r < 0) {
		texts_clear(texts);
		return r;
	}
	texts->bytes += item->text.len - before;
	item->serial = serial;
	return 0;
}

/*
 * The serial that a text was made for is that of some node of the key, which is no older than what
 * they have in common: a text is good for all whose serials are not newer.
 */
static int get_shared(struct texts *texts, struct policy_engine *engine, uint32_t node,
		      uint64_t key, const struct shared_text **ret_text)
{
	uint64_t serial = texts_serial(texts, engine, node);
	struct shared_text *item;
	int r = 0;

	if (texts->bytes > MAX_BYTES)
		texts_clear(texts);
	if (grow_table(texts) < 0)
		return -ENOMEM;
	item = find(texts->items, texts->size, key);
	if (!item->serial)
		texts->n++;
	item->key = key;
	if (item->serial < serial)
		r = refresh(texts, engine, node, serial, item);
	if (r == 0)
		*ret_text = item;
	return r;
}

int texts_get(struct texts *texts, struct policy_engine *engine, uint32_t node,
	      const struct shared_text **ret_text)
{
	uint64_t key = key_of(texts, engine, node);
	int r;

	if (!(key & NODES_OWN))
		return get_shared(texts, engine, node, key, ret_text);
	r = make_text(texts, engine, node, &texts->own);
	if (r == 0)
		*ret_text = &texts->own;
	return r;
}
