/*
 * Around the network process of one connection, in the same thread: the monitor's logic as it is
 * (tests/fuzz/gateway-outside.h), and the agent, the leader and the user process as the input has
 * them. For fuzz-net.c.
 */
#pragma once

#include <stdint.h>

#include "sshgw/net/net.h"
#include "tests/fuzz/gateway-outside.h"

/* All that the monitor is told or asked; then what it has said is on net's channel. */
void world_begin(struct net *net);
void world_done(void);

/* Let the monitor have what the net process has sent so far. */
void world_turn(void);

/* ---- what may happen; what cannot, does not ---- */

enum world_agent {
	WORLD_ACCEPTS,
	WORLD_REJECTS,
	WORLD_ASKS_FOR_CHECK,
	WORLD_REVOKES,
	WORLD_N_AGENT,
};
void world_agent_says(enum world_agent what, uint8_t arg);
/* One of the things that the leader or the user process was asked for. */
void world_answer(bool yes, uint8_t arg);
/* Somebody connects to a listener of the client's. */
void world_connect_to_listener(uint8_t arg);

enum world_act {
	WORLD_WRITES,
	WORLD_WRITES_ERRORS,
	WORLD_READS,
	WORLD_CLOSES_OUTPUT,
	WORLD_CLOSES_INPUT,
	WORLD_EXITS,
	WORLD_IS_KILLED,
	WORLD_N_ACTS,
};
/* A program, or who is at the other end of a forwarded connection. */
void world_act(enum world_act act, uint8_t which, const uint8_t *data, size_t len);

/* A monitor gone mad says this to the net process, and nothing of its own any more. */
void world_goes_mad(uint32_t type, const uint8_t *data, size_t len);

/* ---- what is known ---- */

/* The monitor has let the client in. */
bool world_has_let_in(void);
/* It has told the net process to end, and there is nothing but a moment for that. */
bool world_has_ended(void);
