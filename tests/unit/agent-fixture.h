/*
 * The agent with a kernel of our own making (the kernel_ functions of the fixture stand in for
 * libagent's), a wall clock of our own, and maps from a file.
 */
#pragma once

#include <time.h>

#include "agent/agent.h"
#include "agent/agent_internal.h"

#define WAIT_USEC 10000000u

struct kernel {
	unsigned n_applied;
	bool map_seen;
	uint64_t generation; /* of the map last applied */
	int fail;	     /* errno to fail with, this often */
	unsigned n_fail;
	int n_shut, n_held;
	struct kernel_changes repairs; /* what an apply says it has changed */
	void (*foreign)(void *userdata, const char *what);
	void *userdata;
	uint64_t now_usec; /* by which it was last applied */
};
/* That of the agent that runs: one at a time. */
extern struct kernel *the_kernel;

struct fixture {
	char *dir, *state_dir, *map_path;
	sd_event *event;
	struct agent *agent;
	struct lease *lease;
	unsigned applied_at_revocation;
	uint64_t retimed;
};
/* cmocka: *state is a struct fixture. */
int agent_fixture_setup(void **state);
int agent_fixture_teardown(void **state);
/* Where the log goes while nobody reads it: log_set_sink(). */
void discard_log(void *userdata, int level, const char *text);
#define AGENT_TEST(fn) \
	cmocka_unit_test_setup_teardown(fn, agent_fixture_setup, agent_fixture_teardown)

/* ---- clocks; the kernel's timers go by the true ones ---- */

extern time_t clock_ahead_sec, boottime_ahead_sec;
/* The wall clock, as somebody sets it, which the agent is told. */
void set_clock(time_t ahead_sec);
/* Microseconds. */
uint64_t clock_now(clockid_t clock);
/* A time of the wall clock as it appears in a map, with quotes; the caller's. */
char *soon(uint64_t usec);

void run_for(struct fixture *f, uint64_t usec);
#define AWAIT(f, condition)                                                \
	do {                                                               \
		uint64_t end_ = clock_now(CLOCK_MONOTONIC) + WAIT_USEC;    \
		while (!(condition) && clock_now(CLOCK_MONOTONIC) < end_)  \
			assert_true(sd_event_run((f)->event, 10000) >= 0); \
		assert_true(condition);                                    \
	} while (0)

/* ---- maps ---- */

#define KEY_2 "dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI="

struct map_options {
	int generation;
	const char *self_expiry, *peer_expiry; /* NULL: never */
	const char *key;		       /* NULL: KEY_2 */
	const char *rules;		       /* NULL: one that lets in */
	const char *may_reach_ssh;	       /* by the packet filter; NULL: the laptop */
	const char *peer_name;		       /* NULL: "laptop" */
};
void put_text(struct fixture *f, const char *text);
void put_map(struct fixture *f, const struct map_options *o);
/* One that did not come from the file but from this URL; the caller's. */
struct netmap *map_of(int generation, const char *source);

/* ---- the agent ---- */

struct agent *new_agent(struct fixture *f);
/* max_map_age_usec 0: its maps come from the file. */
struct agent *new_agent_with(struct fixture *f, uint64_t max_map_age_usec);
/* expected: what agent_start() returns. */
void start_agent(struct fixture *f, int expected);
/* With a map of this generation. */
void start_with(struct fixture *f, int generation);
/* A lease of the laptop's; f->lease until it ends. */
void grant(struct fixture *f, uint64_t valid_until);
/* Of a file of its state; the caller's. */
char *state_path(const struct fixture *f, const char *name);
/* The generation in the note of the newest map; 0: there is none. */
unsigned noted_generation(const struct fixture *f);
/*
 * A map in force in which something expires soon: *expiry points into o. Not before it is in force,
 * though, on however busy a machine. Return: what has been applied by then.
 */
unsigned enforce_expiring(struct fixture *f, struct map_options *o, const char **expiry);
