#include "agent/nft/memory.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "agent/grow.h"
#include "agent/nft/observe.h"
#include "agent/nft/sets.h"

enum {
	NOTHING = 1, /* to be copied */
};

struct nft_memory {
	struct nftnl_set **parts; /* as the kernel's messages had them, which have a good size */
	size_t n, n_alloc;
	size_t n_before; /* parts there were when the dump began */
	enum nft_set_id set;
};

/*
 * Whoever could write to the table may have put anything there, and one element that the kernel
 * refuses would take the whole table with it. Return: 0, NOTHING (not ours), -ENOMEM.
 */
static int copy_element(enum nft_set_id id, struct nftnl_set_elem *from, struct nftnl_set *to)
{
	uint32_t len = 0;
	const void *key = nftnl_set_elem_get(from, NFTNL_SET_ELEM_KEY, &len);
	uint64_t left = nftnl_set_elem_get_u64(from, NFTNL_SET_ELEM_EXPIRATION);
	struct nftnl_set_elem *elem;

	if (!key || len != nft_set_key_len(id))
		return NOTHING;
	elem = nftnl_set_elem_alloc();
	if (!elem)
		return -ENOMEM;
	if (nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY, key, len) < 0) {
		nftnl_set_elem_free(elem);
		return -ENOMEM;
	}
	if (left > 0 && left < NFT_ASKED_MSEC)
		nftnl_set_elem_set_u64(elem, NFTNL_SET_ELEM_EXPIRATION, left);
	nftnl_set_elem_add(to, elem);
	return 0;
}

/* Return: 0, NOTHING (the kernel says so in a message of its own, and takes none that does). */
static int copy_elements(enum nft_set_id id, struct nftnl_set *from, struct nftnl_set *to)
{
	struct nftnl_set_elems_iter *iter = nftnl_set_elems_iter_create(from);
	struct nftnl_set_elem *elem;
	int r = iter ? 0 : -ENOMEM, result = NOTHING;

	if (nftnl_set_set_str(to, NFTNL_SET_TABLE, NFT_TABLE) < 0 ||
	    nftnl_set_set_str(to, NFTNL_SET_NAME, nft_set_name(id)) < 0)
		r = -ENOMEM;
	nftnl_set_set_u32(to, NFTNL_SET_FAMILY, NFPROTO_INET);
	while (r >= 0 && (elem = nftnl_set_elems_iter_next(iter))) {
		r = copy_element(id, elem, to);
		if (r == 0)
			result = 0;
	}
	if (iter)
		nftnl_set_elems_iter_destroy(iter);
	return r < 0 ? r : result;
}

static int take_part(const struct nlmsghdr *nlh, void *userdata)
{
	struct nft_memory *memory = userdata;
	struct nftnl_set *found = nftnl_set_alloc(), *part = nftnl_set_alloc();
	int r = -ENOMEM;

	if (found && part)
		r = nftnl_set_elems_nlmsg_parse(nlh, found) < 0
			    ? -EBADMSG
			    : copy_elements(memory->set, found, part);
	if (r == 0)
		r = array_grow(&memory->parts, &memory->n_alloc, memory->n,
			       sizeof(struct nftnl_set *));
	if (r == 0)
		memory->parts[memory->n++] = take_ptr(part);
	if (part)
		nftnl_set_free(part);
	if (found)
		nftnl_set_free(found);
	return r < 0 ? r : 0;
}

static void forget_parts(void *userdata)
{
	struct nft_memory *memory = userdata;

	while (memory->n > memory->n_before)
		nftnl_set_free(memory->parts[--memory->n]);
}

static int read_set(struct nlsock *sock, struct nft_memory *memory, enum nft_set_id id)
{
	int r;

	memory->set = id;
	memory->n_before = memory->n;
	r = nft_dump_set(sock, id, take_part, forget_parts, memory);
	return r == -ENOENT ? 0 : r;
}

int nft_memory_read(struct nlsock *sock, struct nft_memory **ret_memory)
{
	_cleanup_(nft_memory_freep) struct nft_memory *memory = calloc(1, sizeof(*memory));
	int r;

	if (!memory)
		return -ENOMEM;
	r = read_set(sock, memory, NFT_SET_ASKED4);
	if (r == 0)
		r = read_set(sock, memory, NFT_SET_ASKED6);
	if (r == 0)
		*ret_memory = take_ptr(memory);
	return r;
}

void nft_memory_put(const struct nft_memory *memory, struct nft_batch *batch)
{
	for (size_t i = 0; i < memory->n; i++) {
		struct nlmsghdr *nlh = nft_batch_message(
			batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, "remembered elements of %s",
			nftnl_set_get_str(memory->parts[i], NFTNL_SET_NAME));

		if (!nlh)
			return;
		nftnl_set_elems_nlmsg_build_payload(nlh, memory->parts[i]);
		nft_batch_end_message(batch);
	}
}

struct nft_memory *nft_memory_free(struct nft_memory *memory)
{
	if (!memory)
		return NULL;
	memory->n_before = 0;
	forget_parts(memory);
	free(memory->parts);
	free(memory);
	return NULL;
}
