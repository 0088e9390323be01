/* Who is served at all: connections of peers, that came through the mesh. */
#pragma once

struct monitor;

/*
 * Judge the connection by its addresses, before a byte of it is read: asks the agent, and waits for
 * one that is being restarted, for AGENT_ANSWER_USEC. Return: 0, negative errno (logged).
 */
int origin_check(struct monitor *m);
