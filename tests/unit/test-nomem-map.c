/* Maps without memory: what could not be told is told a second later, and nobody is told half. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "common/clock.h"
#include "tests/unit/map-fixture.h"
#include "tests/unit/nomem.h"

#define N_NODES 4u

static const char *const open_policy =
	"{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:*\"]}]}";
static const char *const web_policy =
	"{\"tagOwners\":{\"tag:web\":[]},\"acls\":[{\"action\":\"accept\","
	"\"src\":[\"alice@example.com\"],\"dst\":[\"tag:web:80\",\"autogroup:self:22\"]}],"
	"\"ssh\":[{\"action\":\"accept\",\"src\":[\"autogroup:member\"],"
	"\"dst\":[\"autogroup:self\"],\"users\":[\"root\"]}]}";

static void begin(struct sim *sim)
{
	static const int owners[N_NODES] = { 0, 0, 1, -1 };

	sim_begin(sim, open_policy);
	for (unsigned i = 0; i < 2; i++)
		sim_store_user(sim, i, sim_users[i], 0);
	for (unsigned i = 0; i < N_NODES; i++) {
		sim_add_node(sim, owners[i]);
		sim_set_facts(sim, i, "192.0.2.1:51820", "", "192.0.2.1");
		sim_connect(sim, i, false);
	}
	sim_settle(sim);
}

/* ---- what is changed, as the registry's subscriber hands it in ---- */

static int hand_in_node(struct sim *sim, unsigned number)
{
	return world_set_node(sim->world, &sim->nodes[number].record, sim->nodes[number].addresses);
}

static int change_endpoint(struct sim *sim)
{
	struct node_record *record = &sim->nodes[0].record;

	record->facts.endpoints.items[0].port = 4000;
	record->head.revision = sim->revision;
	return hand_in_node(sim, 0);
}

static int change_place(struct sim *sim)
{
	struct node_record *record = &sim->nodes[0].record;

	record->facts.seen.bytes[0] = 203;
	record->head.revision = sim->revision;
	return hand_in_node(sim, 0);
}

static int change_key_and_expiry(struct sim *sim)
{
	struct node_record *record = &sim->nodes[1].record;

	record->key.bytes[5] = 7;
	record->key_expiry = sim->wall + 1;
	record->head.revision = sim->revision;
	return hand_in_node(sim, 1);
}

static int change_owner(struct sim *sim)
{
	struct node_record *record = &sim->nodes[1].record;

	memcpy(record->user, "bob", 3);
	memcpy(record->user + 3, sim_users[1] + 3, strlen(sim_users[1]) - 2);
	record->head.revision = sim->revision;
	return hand_in_node(sim, 1);
}

static int change_policy(struct sim *sim)
{
	sim->policy = web_policy;
	return world_set_policy(sim->world, web_policy, strlen(web_policy));
}

static int change_user(struct sim *sim)
{
	const struct user_record user = { .head = { (char *)sim_users[0], sim->revision },
					  .name = (char *)"Another",
					  .roles = POLICY_ROLE_ADMIN };

	char *group = (char *)"group:mapped";
	const struct text_list groups = { &group, 1 };

	return world_set_user(sim->world, &user, &groups);
}

static int change_everything(struct sim *sim)
{
	int r = change_policy(sim);

	if (r >= 0)
		r = change_owner(sim);
	if (r >= 0)
		r = change_place(sim);
	return r < 0 ? r : change_user(sim);
}

static int remove_node(struct sim *sim)
{
	return world_remove_node(sim->world, sim->agents[2].id, sim->revision);
}

/* ---- the work ---- */

struct work {
	const char *name;
	int (*change)(struct sim *sim);
};

/* libcrypto keeps what it found wrong. */
static void end_nomem(void)
{
	nomem_end();
	ERR_clear_error();
}

/* With memory again: hand in what was not taken, as map.c does. */
static void recover(struct sim *sim, const struct work *work, int r)
{
	if (r < 0)
		assert_true(work->change(sim) >= 0);
	world_set_revision(sim->world, sim->revision);
	streams_changed(sim->streams, true, sim->now);
	for (unsigned i = 0; i < 4; i++)
		sim_run(sim, USEC_PER_SEC);
	sim_settle(sim);
}

static void check(struct sim *sim)
{
	for (unsigned i = 0; i < N_NODES; i++)
		if (sim->agents[i].stream)
			sim_check(sim, i);
}

static int do_change(void *userdata)
{
	const struct work *work = userdata;
	struct sim sim;
	int r;

	begin(&sim);
	sim.revision++;
	nomem_begin();
	r = work->change(&sim);
	if (r >= 0)
		streams_changed(sim.streams, true, sim.now);
	streams_run(sim.streams, sim.now + 60000, sim.wall + 60000);
	end_nomem();
	assert_true(r >= 0 || r == -ENOMEM || r == -EIO);
	recover(&sim, work, r);
	check(&sim);
	sim_end(&sim);
	return 0;
}

static void test_changes(void **state)
{
	static const struct work works[] = {
		{ "an endpoint", change_endpoint },
		{ "a place", change_place },
		{ "key and expiry", change_key_and_expiry },
		{ "an owner", change_owner },
		{ "the policy", change_policy },
		{ "a user", change_user },
		{ "everything", change_everything },
		{ "a removal", remove_node },
	};

	for (size_t i = 0; i < ARRAY_SIZE(works); i++)
		nomem_try(works[i].name, do_change, (void *)&works[i]);
}

/* Agents that come back while the coordinator has no memory: first maps, and resumes. */
static int do_answer(void *userdata)
{
	const bool *resume = userdata;
	struct sim sim;

	begin(&sim);
	for (unsigned i = 0; i < N_NODES; i++)
		sim_disconnect(&sim, i);
	sim_set_facts(&sim, 0, "192.0.2.9:51820", "", "203.0.113.1");
	sim_run(&sim, 60000);
	for (unsigned i = 0; i < N_NODES; i++)
		sim_connect(&sim, i, *resume);
	/* Of the signed line nothing is left in the sinks. */
	if (!*resume)
		sim_run(&sim, 0);
	nomem_begin();
	streams_run(sim.streams, sim.now, sim.wall);
	end_nomem();
	for (unsigned i = 0; i < 4; i++)
		sim_run(&sim, USEC_PER_SEC);
	sim_settle(&sim);
	check(&sim);
	for (unsigned i = 0; i < N_NODES; i++)
		assert_non_null(sim.agents[i].stream);
	sim_end(&sim);
	return 0;
}

static void test_answers(void **state)
{
	bool resume = false;

	nomem_try("first maps", do_answer, &resume);
	resume = true;
	nomem_try("resumes", do_answer, &resume);
}

static int do_begin(void *userdata)
{
	struct wg_key private, public;
	struct stream *stream = NULL;
	struct stream_request request = { .node = "n0" };
	struct sim sim;
	int r;

	begin(&sim);
	assert_int_equal(wg_key_generate(&private), 0);
	assert_int_equal(wg_key_public(&private, &public), 0);
	request.ephemeral = public;
	nomem_begin();
	r = stream_new(sim.streams, &request, sim.wall, &stream);
	end_nomem();
	stream_free(stream);
	sim_end(&sim);
	/* What libcrypto does not say. */
	return r == -EIO ? -ENOMEM : r;
}

static void test_begin(void **state)
{
	nomem_try("a stream", do_begin, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
