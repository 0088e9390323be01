#include "agent/nft/batch.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/grow.h"
#include "common/text.h"

struct nft_batch {
	struct nlsock *sock;
	char *data;
	size_t len, n_alloc;
	size_t last; /* offset of the newest message */
	uint32_t first_seq, last_seq;
	char **labels; /* of message first_seq + 1 + index */
	size_t n_labels, n_labels_alloc;
	bool nomem;
};

/* Room for one message; pointers into the buffer are valid until the next call. */
static void *make_room(struct nft_batch *batch)
{
	size_t want = batch->len + NLSOCK_MESSAGE_MAX;
	char *bigger;

	if (batch->nomem)
		return NULL;
	if (want > batch->n_alloc) {
		bigger = realloc(batch->data, 2 * want);
		if (!bigger) {
			batch->nomem = true;
			return NULL;
		}
		batch->data = bigger;
		batch->n_alloc = 2 * want;
	}
	return batch->data + batch->len;
}

int nft_batch_new(struct nlsock *sock, struct nft_batch **ret_batch)
{
	_cleanup_(nft_batch_freep) struct nft_batch *batch = calloc(1, sizeof(*batch));
	void *room;

	if (!batch)
		return -ENOMEM;
	batch->sock = sock;
	batch->first_seq = batch->last_seq = nlsock_next_seq(sock);
	room = make_room(batch);
	if (!room)
		return -ENOMEM;
	batch->len += nftnl_batch_begin(room, batch->first_seq)->nlmsg_len;
	*ret_batch = take_ptr(batch);
	return 0;
}

struct nft_batch *nft_batch_free(struct nft_batch *batch)
{
	if (!batch)
		return NULL;
	for (size_t i = 0; i < batch->n_labels; i++)
		free(batch->labels[i]);
	free(batch->labels);
	free(batch->data);
	free(batch);
	return NULL;
}

_printf_(2, 0) static int add_label(struct nft_batch *batch, const char *format, va_list args)
{
	int r;

	r = array_grow(&batch->labels, &batch->n_labels_alloc, batch->n_labels,
		       sizeof(*batch->labels));
	if (r < 0)
		return r;
	batch->labels[batch->n_labels] = text_vprintf(format, args);
	if (!batch->labels[batch->n_labels])
		return -ENOMEM;
	batch->n_labels++;
	return 0;
}

struct nlmsghdr *nft_batch_message(struct nft_batch *batch, uint16_t type, uint16_t flags,
				   const char *label, ...)
{
	void *room = make_room(batch);
	va_list args;
	int r;

	if (!room)
		return NULL;
	va_start(args, label);
	r = add_label(batch, label, args);
	va_end(args);
	if (r < 0) {
		batch->nomem = true;
		return NULL;
	}
	batch->last = batch->len;
	batch->last_seq = nlsock_next_seq(batch->sock);
	return nftnl_nlmsg_build_hdr(room, type, NFPROTO_INET, flags, batch->last_seq);
}

static struct nlmsghdr *last_message(struct nft_batch *batch)
{
	return (struct nlmsghdr *)(batch->data + batch->last);
}

void nft_batch_end_message(struct nft_batch *batch)
{
	batch->len += last_message(batch)->nlmsg_len;
}

void nft_batch_out_of_memory(struct nft_batch *batch)
{
	batch->nomem = true;
}

static const char *message_label(const struct nft_batch *batch, uint32_t seq)
{
	uint32_t index = seq - batch->first_seq - 1;

	return index < batch->n_labels ? batch->labels[index] : "the transaction";
}

int nft_batch_commit(struct nft_batch *batch, char **reterr_text)
{
	const char *ext;
	uint32_t seq = 0;
	void *room;
	int r;

	room = make_room(batch);
	if (!room)
		return -ENOMEM;
	if (batch->n_labels == 0)
		return 0;
	last_message(batch)->nlmsg_flags |= NLM_F_ACK;
	batch->len += nftnl_batch_end(room, nlsock_next_seq(batch->sock))->nlmsg_len;
	r = nlsock_batch(batch->sock, batch->data, batch->len, batch->first_seq, batch->last_seq,
			 &seq);
	if (r < 0) {
		ext = nlsock_ext_text(batch->sock);
		*reterr_text = text_printf("nftables refused %s: %s%s%s", message_label(batch, seq),
					   strerror(-r), ext[0] ? ": " : "", ext);
	}
	return r;
}
