/* A WireGuard device as a kernel reports it. */
#include <stdbool.h>

#include "agent/wg/diff.h"
#include "agent/wg/moves.h"
#include "agent/wg/parse.h"
#include "tests/fuzz/dump-stream.h"

#define NOW 1795564800000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(const struct nlmsghdr *nlh, void *userdata)
{
	return wg_parse_message(userdata, nlh);
}

static void restart(void *userdata)
{
	wg_parse_restart(userdata);
}

static void check_peer(const struct wg_peer *peer)
{
	for (size_t i = 0; i < peer->n_allowed; i++)
		if (peer->allowed[i].len > ip_addr_bits(&peer->allowed[i].addr))
			abort();
}

/* What a start of the agent does with it: every peer is to go, or to come. */
static void compare(const struct wg_device *from, const struct wg_device *to)
{
	struct wg_diff diff;
	bool moves;

	if (wg_diff_build(from, NULL, to, NOW, &diff) < 0)
		return;
	(void)wg_diff_moves(from, &diff, &moves);
	wg_diff_done(&diff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct wg_device empty;
	struct dump_stream stream = { data, size };
	struct wg_parse parse = { .device = wg_device_new() };

	if (dump_stream_answer(&stream, take, restart, &parse) == 0) {
		wg_device_sort(parse.device);
		for (size_t i = 0; i < parse.device->n_peers; i++)
			check_peer(&parse.device->peers[i]);
		compare(parse.device, &empty);
		compare(&empty, parse.device);
		compare(parse.device, parse.device);
	}
	wg_device_free(parse.device);
	return 0;
}
