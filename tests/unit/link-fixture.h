/* A host's link to a coordinator in the same event loop (tests/coordinator). */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "agent/link/link.h"
#include "common/clock.h"
#include "tests/coordinator/coordinator.h"

#define PATIENCE_USEC (20 * USEC_PER_SEC)

struct fixture {
	sd_event *event;
	struct tc *tc;
	char *dir, *etc, *gateway_keys;
	struct state *state;
	struct link *link;
	struct netmap *map;
	char *map_source;
	uint64_t last_generation;
	int offer; /* what becomes of a map that is offered */
	unsigned n_offered, n_refused, n_forgot, n_left, n_keys, n_kept, n_confirmed;
	char *refused;
	bool logged_out;
	char *logout_problem;
};

int setup(void **state);
int teardown(void **state);
/* A restart of the agent. */
void open_link(struct fixture *f);
void close_link(struct fixture *f);

/* What link_view() shows. */
const char *state_of(const struct fixture *f);
const char *problem_of(const struct fixture *f);
bool is(const struct fixture *f, const char *state);

void run_for(struct fixture *f, uint64_t usec);
/* By a wish of the operator; an url is put in. */
void up(struct fixture *f, struct link_wish wish);
/* Become a member, and get a map. */
/* A file below etc. */
void put_etc(struct fixture *f, const char *name, const char *text);
void come_up(struct fixture *f);

#define AWAIT(f, condition)                                                                     \
	do {                                                                                    \
		uint64_t end_ = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;                    \
		while (!(condition) && clock_usec(CLOCK_MONOTONIC) < end_)                      \
			assert_true(sd_event_run((f)->event, 10000) >= 0);                      \
		if (!(condition))                                                               \
			fail_msg("in vain: %s (state %s, problem %s)", #condition, state_of(f), \
				 problem_of(f) ? problem_of(f) : "none");                       \
	} while (0)
