/* The api of api-fixture.h, with a link and a coordinator (tests/coordinator) behind it. */
#pragma once

#include "agent/link/link.h"
#include "agent/state.h"
#include "common/clock.h"
#include "tests/coordinator/coordinator.h"
#include "tests/unit/api-fixture.h"

#define PATIENCE_USEC (20 * USEC_PER_SEC)

extern struct tc *tc;
extern struct state *state_files;

int setup_link(void **state);
int teardown_link(void **state);

/* Until an answer has these in it; others are passed over. The caller's. */
char *hear_until(struct fixture *f, struct varlink_client *client, const char *a, const char *b);
/* Up, Login or Set with the coordinator's URL; more: further members, or NULL. */
void begin_link(struct fixture *f, struct varlink_client *client, const char *method,
		const char *more);
/* Be a member. */
void come_up_link(struct fixture *f);
