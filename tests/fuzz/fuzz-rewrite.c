/*
 * What a client asks for (its first byte says what kind of message), before libssh sees it: what is
 * put in its place is whole, and says nothing that was not asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "sshgw/msg_forward.h"
#include "sshgw/net/rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_target(struct chan_reader *r)
{
	_cleanup_free_ char *target = chan_get_string(r, 1 + MSG_MAX_HOST);
	uint32_t port = chan_get_u32(r);

	if (!target || !strchr("tuTU-+p", target[0]) || !target[0] || port > UINT16_MAX)
		abort();
	if (strchr("uU", target[0]) && (strlen(target) > 1 + MSG_MAX_PATH || port != WISH_NO_PORT))
		abort();
	if (target[0] == 'p' && strspn(target + 1, "01") != strlen(target + 1))
		abort();
	if (strchr("-+", target[0]) && (target[1] || port != WISH_NO_PORT))
		abort();
}

static void check_open(const struct chan_writer *w)
{
	struct chan_reader r = { .data = w->data, .len = w->len };
	size_t n;

	chan_get_bytes(&r, 64, &n);
	for (int i = 0; i < 3; i++)
		chan_get_u32(&r);
	check_target(&r);
	chan_get_bytes(&r, 0, &n);
	if (chan_get_u32(&r) != 0 || chan_reader_end(&r) < 0)
		abort();
}

static void check_global(const struct chan_writer *w)
{
	struct chan_reader r = { .data = w->data, .len = w->len };
	size_t n;

	chan_get_bytes(&r, 64, &n);
	chan_get_u8(&r);
	check_target(&r);
	if (chan_reader_end(&r) < 0)
		abort();
}

/* Of keys that the client can name in a few bytes. */
static void prove(const uint8_t *data, size_t size)
{
	static uint8_t first[] = { 1 }, second[] = { 2, 2 };
	static const struct msg_host_keys keys = { .keys = { { first, 1 }, { second, 2 } },
						   .n = 2 };
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	if (rewrite_prove(data, size, &keys, &w) == REWRITE_DONE)
		check_global(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(chan_writer_done) struct chan_writer open = { 0 }, global = { 0 },
						       channel = { 0 };

	if (size == 0)
		return 0;
	switch (data[0]) {
	case 80: /* global request */
		prove(data + 1, size - 1);
		if (rewrite_global(data + 1, size - 1, &global) == REWRITE_DONE)
			check_global(&global);
		break;
	case 90: /* channel open */
		if (rewrite_open(data + 1, size - 1, &open) == REWRITE_DONE)
			check_open(&open);
		break;
	default:
		/* The channel is the client's word, in the first four bytes of both. */
		if (rewrite_channel(data + 1, size - 1, &channel) == REWRITE_DONE &&
		    memcmp(channel.data, data + 1, 4) != 0)
			abort();
		break;
	}
	return 0;
}
