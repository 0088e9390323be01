/*
 * The property that maps stand for: whatever happens, in whatever order, what an agent knows is
 * what a full map would tell it. Random changes of nodes, users, policy and time; agents that come,
 * go, resume from long ago or from between any two lines, and read slowly; policies that come back;
 * coordinators that start anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "tests/unit/map-fixture.h"

#define N_NODES 12u

static const char *const policies[] = {
	"{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:*\"]}],"
	"\"ssh\":[{\"action\":\"check\",\"src\":[\"autogroup:member\"],"
	"\"dst\":[\"autogroup:self\"],\"users\":[\"autogroup:nonroot\",\"root\"]}]}",
	/* The same network in other words, other SSH rules. */
	"{ /* all */ \"ssh\":[{\"action\":\"accept\",\"src\":[\"autogroup:member\"],"
	"\"dst\":[\"tag:web\"],\"users\":[\"localpart:*@example.com\",\"root\"]}],"
	"\"tagOwners\":{\"tag:web\":[]},"
	"\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:*\"],},],}",
	"{\"acls\":[{\"action\":\"accept\",\"src\":[\"autogroup:member\"],"
	"\"dst\":[\"autogroup:self:*\"]}]}",
	"{\"tagOwners\":{\"tag:web\":[],\"tag:db\":[]},\"acls\":["
	"{\"action\":\"accept\",\"src\":[\"alice@example.com\"],\"dst\":[\"tag:web:80\"]},"
	"{\"action\":\"accept\",\"src\":[\"tag:web\"],\"dst\":[\"tag:db:5432\"]}]}",
	"{\"tagOwners\":{\"tag:web\":[],\"tag:db\":[]},\"groups\":{\"group:g\":"
	"[\"bob@example.com\",\"dave@example.org\"]},\"acls\":["
	"{\"action\":\"accept\",\"src\":[\"group:g\"],\"dst\":[\"tag:web:22\",\"tag:db:*\"]},"
	"{\"action\":\"accept\",\"src\":[\"autogroup:admin\"],\"dst\":[\"*:*\"]}],"
	"\"ssh\":[{\"action\":\"accept\",\"src\":[\"group:g\"],\"dst\":[\"tag:web\"],"
	"\"users\":[\"root\"]}]}",
	"{\"hosts\":{\"h\":\"100.64.0.3\"},\"acls\":["
	"{\"action\":\"accept\",\"src\":[\"carol@example.com\",\"100.64.0.5\"],\"dst\":[\"h:*\"]},"
	"{\"action\":\"accept\",\"src\":[\"bob@example.com\"],\"dst\":[\"autogroup:self:22\"]}]}",
	/* A filter that is the same for all, and changes with every member that comes. */
	"{\"acls\":[{\"action\":\"accept\",\"src\":[\"autogroup:member\"],\"dst\":[\"*:80\"]}],"
	"\"ssh\":[{\"action\":\"accept\",\"src\":[\"autogroup:member\"],"
	"\"dst\":[\"autogroup:tagged\"],\"users\":[\"root\"]}]}",
	"{\"acls\":[]}",
};

static unsigned pick(unsigned n)
{
	return (unsigned)random() % n;
}

/* -1: there is none. */
static int pick_node(const struct sim *sim)
{
	unsigned first = pick(MAX_NODES);

	for (unsigned i = 0; i < MAX_NODES; i++)
		if (sim->nodes[(first + i) % MAX_NODES].exists)
			return (int)((first + i) % MAX_NODES);
	return -1;
}

static unsigned n_nodes(const struct sim *sim)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MAX_NODES; i++)
		n += sim->nodes[i].exists;
	return n;
}

static int pick_owner(void)
{
	return (int)pick(MAX_USERS + 3) - 3;
}

static void change_facts(struct sim *sim, unsigned node)
{
	static const char *const endpoints[] = { "", "10.0.0.5:51820",
						 "192.0.2.7:51820 10.1.0.5:51820",
						 "[2001:db8::7]:51820",
						 "192.168.1.5:51820 [2001:db8::9]:51820" };
	static const char *const configured[] = { "", "", "198.51.100.1:4000", "10.9.9.9:51820" };
	static const char *const seen[] = { NULL, "203.0.113.9", "192.0.2.7", "10.0.0.5",
					    "2001:db8::7" };

	sim_set_facts(sim, node, endpoints[pick(5)], configured[pick(4)], seen[pick(5)]);
}

static void change_name(struct sim *sim, unsigned node)
{
	snprintf(sim->nodes[node].name, sizeof(sim->nodes[node].name), "name%u", pick(1000000));
	sim_store_node(sim, node);
}

static void change_expiry(struct sim *sim, unsigned node)
{
	struct node_record *record = &sim->nodes[node].record;

	free(record->expired_by);
	record->expired_by = pick(4) == 0 ? strdup("somebody") : NULL;
	record->key_expiry = pick(3) == 0 ? RECORD_NEVER : sim->wall + pick(5) * 3000000;
	sim_store_node(sim, node);
}

/* What the registry does when a key has run out: some time later. */
static void reap(struct sim *sim)
{
	for (unsigned i = 0; i < MAX_NODES; i++) {
		struct node_record *record = &sim->nodes[i].record;

		if (!sim->nodes[i].exists || record->expired_by || record->key_expiry > sim->wall)
			continue;
		record->expired_by = strdup("time");
		sim_store_node(sim, i);
	}
}

static void change_node(struct sim *sim, unsigned node)
{
	switch (pick(9)) {
	case 0:
	case 1:
	case 2:
		change_facts(sim, node);
		break;
	case 3:
		change_name(sim, node);
		break;
	case 4:
		sim->nodes[node].record.key.bytes[8]++;
		sim_store_node(sim, node);
		break;
	case 5:
		sim_set_owner(sim, node, pick_owner(), pick(2) ? "tag:web" : "tag:db");
		break;
	case 6:
		change_expiry(sim, node);
		break;
	case 7:
		sim->nodes[node].record.facts.ssh = pick(2);
		sim_store_node(sim, node);
		break;
	case 8:
		sim_store_node(sim, node); /* of which nobody is told */
		break;
	}
}

static void change_agent(struct sim *sim, unsigned node)
{
	struct agent *agent = &sim->agents[node];

	switch (pick(7)) {
	case 0:
	case 1:
		sim_connect(sim, node, true);
		break;
	case 2:
		sim_connect(sim, node, false);
		break;
	case 3:
		sim_disconnect(sim, node);
		break;
	case 4:
		agent->slow = !agent->slow;
		agent->n_max = 1 + pick(4);
		break;
	case 5:
		sim_disconnect(sim, node);
		sim_connect(sim, node, true);
		break;
	case 6:
		agent->n_left = 1 + pick(3);
		break;
	}
}

static void set_policy(struct sim *sim)
{
	if (sim->policy_before && pick(2))
		sim_set_policy(sim, sim->policy_before);
	else
		sim_set_policy(sim, policies[pick(ARRAY_SIZE(policies))]);
}

/*
 * Another policy for a while, of which nobody, or not everybody, hears to the end: everybody's
 * connection breaks behind one of its lines.
 */
static void change_policy(struct sim *sim)
{
	set_policy(sim);
	if (pick(2))
		return;
	for (unsigned i = 0; i < MAX_NODES; i++)
		sim->agents[i].n_left = pick(3);
	sim_settle(sim);
	if (pick(4))
		set_policy(sim);
	for (unsigned i = 0; i < MAX_NODES; i++)
		if (sim->nodes[i].exists && !sim->agents[i].stream && pick(4))
			sim_connect(sim, i, true);
}

static void change_something(struct sim *sim)
{
	int node = pick_node(sim);
	unsigned what = pick(100);
	char name[16];

	if (node < 0 || (what < 8 && n_nodes(sim) < N_NODES)) {
		unsigned added = sim_add_node(sim, pick_owner());

		change_facts(sim, added);
		sim_connect(sim, added, false);
	} else if (what < 12) {
		sim_remove_node(sim, (unsigned)node);
	} else if (what < 55) {
		change_node(sim, (unsigned)node);
	} else if (what < 80) {
		change_agent(sim, (unsigned)node);
	} else if (what < 85) {
		snprintf(name, sizeof(name), "Name %u", pick(1000));
		sim_store_user(sim, pick(MAX_USERS), name, pick(2) ? POLICY_ROLE_ADMIN : 0);
	} else if (what < 92) {
		change_policy(sim);
	} else if (what < 94) {
		sim_restart(sim, pick(4) ? 0 : sim->revision - pick(40));
	} else if (what < 97) {
		sim_run(sim, pick(8000000));
	} else {
		reap(sim);
	}
}

static void run(unsigned seed, unsigned n_steps)
{
	struct sim sim;

	srandom(seed);
	sim_begin(&sim, policies[0]);
	sim.max_full = 1 + pick(3);
	for (unsigned i = 0; i < n_steps; i++) {
		unsigned n = 1 + pick(4);

		for (unsigned k = 0; k < n; k++)
			change_something(&sim);
		sim_settle(&sim);
		sim_check_all(&sim);
	}
	for (unsigned i = 0; i < MAX_NODES; i++)
		sim.agents[i].slow = false;
	sim_settle(&sim);
	sim_check_all(&sim);
	sim_end(&sim);
}

static void test_model(void **state)
{
	const char *seeds = getenv("MAP_SEEDS"), *first = getenv("MAP_SEED");
	unsigned from = first ? (unsigned)atoi(first) : 1, n = seeds ? (unsigned)atoi(seeds) : 8;

	for (unsigned seed = from; seed < from + n; seed++) {
		print_message("seed %u\n", seed);
		run(seed, 300);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
