/* peergate-agent --check: is the configuration good, and what would it change? */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct agent_check {
	const char *config; /* path */
	bool required;	    /* a file that does not exist is an error */
	const char *socket; /* of the agent that may be running */
	uid_t owner;	    /* who has to own configuration and map: 0, except in tests */
};

/*
 * Reads the configuration and the map that it names, by the rules of an agent that starts, and asks
 * the running one what it was started with. Nothing is changed. Errors go to err, the rest to out.
 * Return: exit status: 0; 1 when an agent would not start with this, or refuse the map.
 */
int agent_check_run(const struct agent_check *check, FILE *out, FILE *err);
