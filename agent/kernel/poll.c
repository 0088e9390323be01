#include "agent/kernel/poll.h"

#include <errno.h>

#include "agent/kernel/state.h"
#include "agent/wg/keepalive.h"
#include "common/clock.h"
#include "common/log.h"

#define LOOK_SHORTEST_USEC USEC_PER_SEC
#define LOOK_LONGEST_USEC  (60 * USEC_PER_SEC)
#define LOOK_SHARE	   100 /* of the time at most one part in so many */
#define LOOK_SLACK_USEC	   (USEC_PER_SEC / 4)

#define KEEPALIVE_PAUSE_USEC (USEC_PER_SEC / 2)

struct kernel_poll {
	struct kernel *kernel;
	uint64_t looked_usec; /* CLOCK_MONOTONIC: of the handshakes in kernel->done.wg */
	sd_event_source *look_timer;
	sd_event_source *keepalive_timer;
};

static void schedule(sd_event_source *timer, uint64_t usec)
{
	int r = sd_event_source_set_time_relative(timer, usec);

	if (r >= 0)
		r = sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
	if (r < 0)
		log_error_errno(r, "Could not set a timer of the WireGuard link");
}

static void note_handshakes(struct wg_device *told, const struct wg_device *device)
{
	for (size_t i = 0; i < told->n_peers; i++) {
		const struct wg_peer *peer = wg_device_find(device, &told->peers[i].key);

		told->peers[i].last_handshake = peer ? peer->last_handshake : 0;
	}
}

bool kernel_last_handshake(const struct kernel *kernel, const struct wg_key *key,
			   struct kernel_handshake *ret_handshake)
{
	const struct wg_peer *peer = NULL;

	if (kernel->poll && kernel->done.wg)
		peer = wg_device_find(kernel->done.wg, key);
	if (!peer || peer->last_handshake == 0)
		return false;
	*ret_handshake = (struct kernel_handshake){
		.time_usec = peer->last_handshake,
		.read_usec = kernel->poll->looked_usec,
	};
	return true;
}

/* Has WireGuard still got what it was told? Return: 0 and *ret_same, negative errno. */
static int compare(struct kernel_poll *poll, bool *ret_same)
{
	_cleanup_(wg_device_freep) struct wg_device *device = NULL;
	const uint64_t now = clock_usec(CLOCK_MONOTONIC);
	struct kernel *kernel = poll->kernel;
	struct wg_device *told = kernel->done.wg;
	struct wg_diff diff;
	int r;

	r = wg_get(kernel->wg, kernel->ifname, &device);
	if (r < 0)
		return r;
	note_handshakes(told, device);
	poll->looked_usec = now;
	r = wg_diff_build(device, told, told, clock_usec(CLOCK_REALTIME), &diff);
	if (r < 0)
		return r;
	*ret_same = wg_diff_empty(&diff);
	wg_diff_done(&diff);
	return 0;
}

static void look(struct kernel_poll *poll)
{
	struct kernel *kernel = poll->kernel;
	char what[96];
	bool same;

	/* Else an apply is due that looks by itself. If it cannot be read now, there is news of
	 * the link, or the next time will tell. */
	if (!kernel->told_holds || compare(poll, &same) < 0 || same)
		return;
	kernel->told_holds = false;
	snprintf(what, sizeof(what), "link %s: WireGuard's settings or peers were changed",
		 kernel->ifname);
	kernel_tell(kernel, what);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct kernel_poll *poll = userdata;
	uint64_t began = clock_usec(CLOCK_MONOTONIC), next;

	look(poll);
	next = LOOK_SHARE * (clock_usec(CLOCK_MONOTONIC) - began);
	if (next < LOOK_SHORTEST_USEC)
		next = LOOK_SHORTEST_USEC;
	if (next > LOOK_LONGEST_USEC)
		next = LOOK_LONGEST_USEC;
	schedule(poll->look_timer, next);
	return 0;
}

static int on_keepalive(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct kernel_poll *poll = userdata;
	struct kernel *kernel = poll->kernel;
	struct wg_diff diff;
	int r;

	if (!kernel->told_holds)
		return 0;
	r = wg_keepalive_release(kernel->done.wg, &diff);
	if (r == 0 && diff.n_changes > 0) {
		r = wg_set(kernel->wg, kernel->ifname, kernel->done.wg, &diff,
			   &kernel->private_key);
		schedule(poll->keepalive_timer, KEEPALIVE_PAUSE_USEC);
	}
	if (r < 0) {
		kernel->told_holds = false;
		kernel_tell(kernel, "WireGuard did not take a keepalive interval");
	} else {
		wg_diff_done(&diff);
	}
	return 0;
}

void kernel_poll_told(struct kernel_poll *poll)
{
	if (wg_keepalive_waits(poll->kernel->done.wg))
		schedule(poll->keepalive_timer, KEEPALIVE_PAUSE_USEC);
}

static int add_timers(struct kernel_poll *poll, sd_event *event)
{
	int r;

	r = sd_event_add_time_relative(event, &poll->look_timer, CLOCK_MONOTONIC,
				       LOOK_SHORTEST_USEC, LOOK_SLACK_USEC, on_look, poll);
	if (r >= 0)
		r = sd_event_source_set_priority(poll->look_timer, SD_EVENT_PRIORITY_IMPORTANT);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &poll->keepalive_timer, CLOCK_MONOTONIC, 0,
					       LOOK_SLACK_USEC, on_keepalive, poll);
	if (r >= 0)
		r = sd_event_source_set_enabled(poll->keepalive_timer, SD_EVENT_OFF);
	return r;
}

int kernel_poll_new(sd_event *event, struct kernel *kernel, struct kernel_poll **ret_poll)
{
	_cleanup_(kernel_poll_freep) struct kernel_poll *poll = calloc(1, sizeof(*poll));
	int r;

	if (!poll)
		return -ENOMEM;
	poll->kernel = kernel;
	r = add_timers(poll, event);
	if (r < 0)
		return r;
	*ret_poll = take_ptr(poll);
	return 0;
}

struct kernel_poll *kernel_poll_free(struct kernel_poll *poll)
{
	if (!poll)
		return NULL;
	sd_event_source_disable_unref(poll->look_timer);
	sd_event_source_disable_unref(poll->keepalive_timer);
	free(poll);
	return NULL;
}
