/* Policies and networks of tests/unit/data/policy, for the tests of the policy compiler. */
#pragma once

#include "coord/policy/policy.h"

struct fixture {
	char *text; /* the policy's; NULL: not read from a file */
	struct policy *policy;
	struct policy_network *network;
	struct policy_engine *engine;
	struct policy_problems problems;
};
void fixture_done(struct fixture *fx);

/* The network of this file. The test fails if it cannot be read. */
struct policy_network *fixture_network(const char *name);
/* A policy that has to be fine, applied to the network of data/policy/network.json. */
void fixture_load(struct fixture *fx, const char *policy_name);
void fixture_load_text(struct fixture *fx, const char *policy_text);
/* All problems, a line each: "error 3:4: ...". The caller frees. */
char *fixture_problems(const struct policy_problems *problems);
/* Number of the node. The test fails if there is none. */
uint32_t fixture_node(const struct fixture *fx, const char *name);
