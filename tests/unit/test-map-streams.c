/* What goes to whom, line by line: sharing, resuming, keepalives, limits, ends. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "coord/map/streams_internal.h"
#include "tests/unit/map-fixture.h"

#define OPEN "{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:*\"]}]}"
#define OPEN_AND_SSH                                                                      \
	"{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:*\"]}],\"ssh\":[" \
	"{\"action\":\"accept\",\"src\":[\"autogroup:member\"],\"dst\":[\"tag:web\"],"    \
	"\"users\":[\"root\"]}],\"tagOwners\":{\"tag:web\":[]}}"
#define OPEN_AND_NO_SSH                                                          \
	"{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:*\"]}]," \
	"\"tagOwners\":{\"tag:web\":[]}}"
#define WEB                                                                 \
	"{\"tagOwners\":{\"tag:web\":[]},\"acls\":[{\"action\":\"accept\"," \
	"\"src\":[\"alice@example.com\",\"bob@example.com\"],\"dst\":[\"tag:web:80\"]}]}"

/* Nodes of these owners, all connected and told. */
static void begin(struct sim *sim, const char *policy, const int *owners, unsigned n)
{
	sim_begin(sim, policy);
	for (unsigned i = 0; i < MAX_USERS; i++)
		sim_store_user(sim, i, sim_users[i], 0);
	for (unsigned i = 0; i < n; i++) {
		sim_add_node(sim, owners[i]);
		sim_set_facts(sim, i, "192.0.2.1:51820", "", "192.0.2.1");
		sim_connect(sim, i, false);
	}
	sim_settle(sim);
	sim_check_all(sim);
}

static struct streams_stats stats(const struct sim *sim)
{
	struct streams_stats stats;

	streams_get_stats(sim->streams, &stats);
	return stats;
}

static const int five[] = { 0, 0, 1, 2, -1 };

static void test_one_body(void **state)
{
	struct sim sim;
	struct http_buf *body = NULL;
	uint64_t made;

	begin(&sim, OPEN, five, 5);
	for (unsigned i = 0; i < 5; i++)
		sim.agents[i].slow = true;
	made = stats(&sim).delta_bodies;
	sim_set_facts(&sim, 0, "192.0.2.2:51820", "", "192.0.2.1");
	sim_run(&sim, 60000);
	/* Three are told by one body; the same bytes, not a copy of them. */
	for (unsigned i = 1; i < 5; i++) {
		assert_int_equal(agent_n_lines(&sim.agents[i]), 1);
		if (body)
			assert_ptr_equal(sim.agents[i].conn->lines[0].body, body);
		body = sim.agents[i].conn->lines[0].body;
	}
	/* It is behind NAT now, and has a keepalive for each of them: that is its own. */
	assert_int_equal(agent_n_lines(&sim.agents[0]), 2);
	assert_int_equal(stats(&sim).delta_bodies, made + 2);
	assert_non_null(strstr(http_buf_data(body), "peers_patched"));
	assert_null(strstr(http_buf_data(body), "tokens"));
	sim_end(&sim);
}

/* What is in a body that several get: nothing that is about one of them, nor whom one sees. */
static void test_apart(void **state)
{
	static const int owners[] = { 0, 1, -1, -1 };
	struct sim sim;

	begin(&sim, WEB, owners, 4);
	for (unsigned i = 0; i < 4; i++)
		sim.agents[i].slow = true;
	sim_set_facts(&sim, 0, "192.0.2.10:51820 192.0.2.1:51820", "", "192.0.2.1");
	sim_set_facts(&sim, 2, "192.0.2.12:51820 192.0.2.1:51820", "", "192.0.2.1");
	sim_run(&sim, 60000);
	for (unsigned i = 0; i < 4; i++) {
		const struct conn *conn = sim.agents[i].conn;
		bool person = i < 2;

		/* People see what is tagged, and the other way round. */
		assert_int_equal(conn->n_lines, 1);
		assert_int_equal(strstr(http_buf_data(conn->lines[0].body), "192.0.2.10") != NULL,
				 !person);
		assert_int_equal(strstr(http_buf_data(conn->lines[0].body), "192.0.2.12") != NULL,
				 person);
		assert_null(strstr(http_buf_data(conn->lines[0].body), "\"self\""));
	}
	assert_ptr_equal(sim.agents[0].conn->lines[0].body, sim.agents[1].conn->lines[0].body);
	assert_ptr_equal(sim.agents[2].conn->lines[0].body, sim.agents[3].conn->lines[0].body);
	assert_ptr_not_equal(sim.agents[0].conn->lines[0].body, sim.agents[2].conn->lines[0].body);
	/* Who did not see a node is not told that it has gone. */
	sim_remove_node(&sim, 0);
	sim_run(&sim, 0);
	assert_int_equal(agent_n_lines(&sim.agents[1]), 1);
	assert_true(agent_n_lines(&sim.agents[2]) > 1);
	sim_end(&sim);
}

/* A filter with a node's own addresses is nobody else's: the tokens are in the same line. */
static void test_own_filter(void **state)
{
	struct sim sim;

	begin(&sim, WEB, five, 5);
	sim.agents[4].n_delta = 0;
	sim_set_policy(&sim, "{\"tagOwners\":{\"tag:web\":[]},\"acls\":[{\"action\":\"accept\","
			     "\"src\":[\"alice@example.com\",\"bob@example.com\"],"
			     "\"dst\":[\"tag:web:443\"]}]}");
	sim_settle(&sim);
	assert_int_equal(sim.agents[4].n_delta, 1);
	assert_non_null(strstr(sim.agents[4].last, "\"tokens\""));
	assert_non_null(strstr(sim.agents[4].last, "\"packet_filter\""));
	sim_check_all(&sim);
	sim_end(&sim);
}

static void test_policy_shared(void **state)
{
	struct sim sim;

	begin(&sim, OPEN, five, 4);
	for (unsigned i = 0; i < 4; i++)
		sim.agents[i].slow = true;
	sim_set_policy(&sim, "{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],"
			     "\"dst\":[\"*:80\"]}]}");
	sim_run(&sim, 0);
	/* The filter is one for all; the tokens that follow are each node's own. */
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(agent_n_lines(&sim.agents[i]), 2);
		assert_ptr_equal(sim.agents[i].conn->lines[0].body,
				 sim.agents[0].conn->lines[0].body);
		assert_non_null(
			strstr(http_buf_data(sim.agents[i].conn->lines[1].body), "\"tokens\""));
	}
	sim_end(&sim);
}

/*
 * A policy that was in force for a moment, of which a node heard the half: what it was given is
 * taken back, though the policy is the one that it has the tokens of.
 */
static void test_policy_comes_back(void **state)
{
	static const char narrow[] = "{\"acls\":[{\"action\":\"accept\",\"src\":["
				     "\"alice@example.com\"],\"dst\":[\"alice@example.com:22\"]"
				     "}]}";
	struct sim sim;
	struct agent *agent = &sim.agents[2];

	begin(&sim, narrow, five, 4);
	assert_int_equal(json_object_size(json_object_get(agent->map, "peers")), 0);
	agent->n_left = 1;
	sim_set_policy(&sim, OPEN);
	sim_settle(&sim);
	assert_null(agent->stream);
	/* The rules have come, and what they are known by has not: so it knows them by nothing. */
	assert_int_equal(json_object_size(json_object_get(agent->map, "peers")), 3);
	assert_true(json_is_null(json_object_get(agent->map, "tokens")));
	assert_null(agent->netmap->tokens.policy);
	assert_null(agent->netmap->tokens.filter);
	assert_null(agent->netmap->tokens.ssh);
	sim_set_policy(&sim, narrow);
	sim_settle(&sim);
	sim_connect(&sim, 2, true);
	sim_settle(&sim);
	assert_int_equal(json_object_size(json_object_get(agent->map, "peers")), 0);
	sim_check_all(&sim);
	sim_end(&sim);
}

/* The first change goes out at once, those that follow it together. */
static void test_coalescing(void **state)
{
	struct sim sim;
	uint64_t superseded;

	begin(&sim, OPEN, five, 2);
	sim_run(&sim, 50000);
	sim.agents[1].n_delta = 0;
	superseded = stats(&sim).coalesced;
	for (unsigned i = 0; i < 5; i++) {
		char endpoint[32];

		snprintf(endpoint, sizeof(endpoint), "192.0.2.1:%u", 4000 + i);
		sim_set_facts(&sim, 0, endpoint, "", "192.0.2.1");
		sim_run(&sim, 1000);
		assert_int_equal(sim.agents[1].n_delta, 1);
		assert_non_null(strstr(sim.agents[1].last, "4000"));
	}
	sim_run(&sim, 45000);
	assert_int_equal(sim.agents[1].n_delta, 1);
	sim_run(&sim, 1000);
	assert_int_equal(sim.agents[1].n_delta, 2);
	assert_non_null(strstr(sim.agents[1].last, "4004"));
	assert_int_equal(stats(&sim).coalesced - superseded, 3);
	sim_end(&sim);
}

/* What takes something away does not wait for the tick. */
static void test_urgent(void **state)
{
	struct sim sim;

	begin(&sim, OPEN, five, 3);
	sim_remove_node(&sim, 0);
	sim_run(&sim, 0);
	assert_non_null(strstr(sim.agents[1].last, "\"peers_removed\":[\"n0\"]"));
	sim.nodes[1].record.key.bytes[3]++;
	sim_store_node(&sim, 1);
	sim_run(&sim, 0);
	assert_non_null(strstr(sim.agents[2].last, "\"peers_changed\":[{\"id\":\"n1\""));
	sim_set_policy(&sim, "{\"acls\":[]}");
	sim_run(&sim, 0);
	assert_int_equal(json_object_size(json_object_get(sim.agents[2].map, "peers")), 0);
	sim_end(&sim);
}

/* ---- resuming ---- */

static void test_resume_nothing(void **state)
{
	struct sim sim;
	size_t bytes;

	begin(&sim, OPEN, five, 5);
	sim_restart(&sim, 0);
	for (unsigned i = 0; i < 5; i++) {
		bytes = sim.agents[i].bytes;
		sim.agents[i].n_delta = 0;
		sim_connect(&sim, i, true);
		sim_settle(&sim);
		assert_int_equal(sim.agents[i].n_full, 1);
		assert_int_equal(sim.agents[i].n_delta, 1);
		/* Most of it is the signed line. */
		assert_true(sim.agents[i].bytes - bytes < 350);
	}
	assert_int_equal(stats(&sim).resumed_delta, 5);
	sim_end(&sim);
}

static void check_resume(struct sim *sim, unsigned number, bool delta)
{
	unsigned n_full = sim->agents[number].n_full;

	sim_connect(sim, number, true);
	sim_settle(sim);
	sim_check(sim, number);
	assert_int_equal(sim->agents[number].n_full - n_full, !delta);
}

static void test_resume(void **state)
{
	struct sim sim;

	begin(&sim, OPEN, five, 5);
	sim_disconnect(&sim, 0);
	sim_set_facts(&sim, 1, "192.0.2.9:51820", "", "192.0.2.9");
	sim_remove_node(&sim, 2);
	sim_store_user(&sim, 0, "Another", 0);
	sim_settle(&sim);
	check_resume(&sim, 0, true);
	/* Moved to another place: of those who are reached in the same way nothing is said. */
	sim_disconnect(&sim, 0);
	sim_set_facts(&sim, 0, "10.0.0.1:51820", "", "203.0.113.1");
	sim_settle(&sim);
	check_resume(&sim, 0, true);
	sim_end(&sim);
}

/* Who went while there was no coordinator, or before it had told anybody anything. */
static void test_resume_gone(void **state)
{
	struct sim sim;

	begin(&sim, OPEN, five, 5);
	sim.nodes[1].record.expired_by = strdup("somebody");
	sim_restart(&sim, 0);
	sim_store_node(&sim, 1);
	sim_restart(&sim, 0);
	sim_remove_node(&sim, 2);
	/* A backup that was restored brought this one back. */
	removed_add(&sim.world->removed, sim.revision, "n3");
	check_resume(&sim, 0, true);
	assert_int_equal(json_object_size(json_object_get(sim.agents[0].map, "peers")), 2);
	assert_null(strstr(sim.agents[0].last, "\"n3\""));
	sim_end(&sim);
}

static void test_resume_not_possible(void **state)
{
	struct sim sim;

	begin(&sim, OPEN, five, 5);
	sim_disconnect(&sim, 0);
	sim_set_policy(&sim, WEB);
	sim_settle(&sim);
	check_resume(&sim, 0, false);
	/* Another owner. */
	sim_disconnect(&sim, 0);
	sim_set_owner(&sim, 0, 3, NULL);
	sim_settle(&sim);
	check_resume(&sim, 0, false);
	/* Other tags. */
	sim_disconnect(&sim, 4);
	sim_set_owner(&sim, 4, -1, "tag:db");
	sim_settle(&sim);
	check_resume(&sim, 4, false);
	/* Somebody's role decides now. */
	sim_disconnect(&sim, 0);
	sim_store_user(&sim, 1, "bob", POLICY_ROLE_ADMIN);
	sim_settle(&sim);
	check_resume(&sim, 0, false);
	/* The log does not go back so far. */
	sim_restart(&sim, sim.revision + 1);
	check_resume(&sim, 0, false);
	/* From the future, with tokens that are none. */
	json_object_set_new(sim.agents[0].map, "generation", json_integer(1000000));
	check_resume(&sim, 0, false);
	json_object_set_new(json_object_get(sim.agents[0].map, "tokens"), "policy",
			    json_string("nonsense"));
	check_resume(&sim, 0, false);
	sim_end(&sim);
}

/* SSH rules say nothing of who sees whom: who was away is told by a delta. */
static void test_resume_other_ssh(void **state)
{
	struct sim sim;

	begin(&sim, OPEN_AND_SSH, five, 5);
	sim_disconnect(&sim, 4);
	sim_set_policy(&sim,
		       "/* as before */ {\"tagOwners\":{\"tag:web\":[]},\"ssh\":[],"
		       "\"acls\":[{\"src\":[\"*\"],\"dst\":[\"*:*\"],\"action\":\"accept\"}]}");
	sim_settle(&sim);
	check_resume(&sim, 4, true);
	assert_non_null(strstr(sim.agents[4].last, "\"ssh_rules\":[]"));
	assert_null(strstr(sim.agents[4].last, "packet_filter"));
	sim_end(&sim);
}

static void test_removed(void **state)
{
	struct removed removed = { 0 };
	char id[16];

	/* Those of the log come while others are removed. */
	removed_begin(&removed, 100);
	removed_add(&removed, 101, "d");
	removed_add(&removed, 40, "b");
	removed_add(&removed, 30, "a");
	removed_add(&removed, 50, "c");
	assert_int_equal(removed.from, 100);
	removed_reach_back(&removed, 20);
	assert_int_equal(removed.from, 20);
	assert_int_equal(removed_after(&removed, 20), 0);
	assert_int_equal(removed_after(&removed, 40), 2);
	assert_string_equal(removed.items[2].id, "c");
	assert_int_equal(removed_after(&removed, 101), 4);
	for (unsigned i = 0; i < REMOVED_MAX; i++) {
		snprintf(id, sizeof(id), "n%u", i);
		removed_add(&removed, 200 + i, id);
	}
	assert_true(removed.n <= REMOVED_MAX);
	/* A quarter went at once; what it was is known. */
	assert_int_equal(removed.from, 200 + REMOVED_MAX / 4 - 4 - 1);
	assert_int_equal(removed.items[0].revision, removed.from + 1);
	removed_reach_back(&removed, 20);
	assert_int_equal(removed.from, removed.items[0].revision - 1);
	removed_done(&removed);
}

/* Whom nothing happens to hears now and then how far it has come. */
static void test_progress(void **state)
{
	static const int owners[] = { 0, 3, -1 };
	struct sim sim;
	json_int_t generation;

	begin(&sim, WEB, owners, 3);
	generation = json_integer_value(json_object_get(sim.agents[1].map, "generation"));
	for (unsigned i = 0; i < 40; i++) {
		sim_set_facts(&sim, 0, i % 2 ? "192.0.2.1:51820" : "192.0.2.1:51821", "",
			      "192.0.2.1");
		sim_settle(&sim);
	}
	assert_int_equal(json_integer_value(json_object_get(sim.agents[1].map, "generation")),
			 generation);
	for (unsigned i = 0; i < 60; i++)
		sim_run(&sim, USEC_PER_SEC / 2);
	assert_true(json_integer_value(json_object_get(sim.agents[1].map, "generation")) >=
		    generation + 40);
	sim_check_all(&sim);
	sim_end(&sim);
}

/* ---- time ---- */

static void test_keepalive(void **state)
{
	struct sim sim;
	uint64_t last[5] = { 0 }, shortest = UINT64_MAX, longest = 0;
	unsigned n[5] = { 0 };

	begin(&sim, OPEN, five, 5);
	for (unsigned i = 0; i < 5; i++)
		last[i] = sim.now;
	for (unsigned t = 0; t < 5 * 60 * 10; t++) {
		sim_run(&sim, USEC_PER_SEC / 10);
		for (unsigned i = 0; i < 5; i++) {
			uint64_t usec = sim.now - last[i];

			if (sim.agents[i].n_keepalive == n[i])
				continue;
			n[i] = sim.agents[i].n_keepalive;
			last[i] = sim.now;
			shortest = usec < shortest ? usec : shortest;
			longest = usec > longest ? usec : longest;
		}
	}
	for (unsigned i = 0; i < 5; i++)
		assert_in_range(n[i], 5 * 60 / 31, 5 * 60 / 20);
	/* The wheel's units are added to the 20 %. */
	assert_in_range(shortest, 20 * USEC_PER_SEC, 24 * USEC_PER_SEC);
	assert_in_range(longest, 26 * USEC_PER_SEC, 31100000);
	sim_end(&sim);
}

/* Other lines make it unnecessary. */
static void test_no_keepalive(void **state)
{
	struct sim sim;

	begin(&sim, OPEN, five, 2);
	for (unsigned i = 0; i < 60; i++) {
		sim_set_facts(&sim, 0, i % 2 ? "192.0.2.1:1" : "192.0.2.1:2", "", "192.0.2.1");
		sim_run(&sim, USEC_PER_SEC);
	}
	assert_int_equal(sim.agents[1].n_keepalive, 0);
	assert_true(sim.agents[0].n_keepalive >= 1);
	sim_end(&sim);
}

/* A key that ends by the clock alone, to the second. */
static void test_expiry(void **state)
{
	struct sim sim;

	begin(&sim, OPEN, five, 3);
	sim.nodes[0].record.key_expiry = sim.wall + 10 * USEC_PER_SEC;
	sim_store_node(&sim, 0);
	sim_settle(&sim);
	assert_true(streams_due(sim.streams, sim.now, sim.wall) <= sim.now + 10 * USEC_PER_SEC);
	sim_run(&sim, 9 * USEC_PER_SEC);
	assert_int_equal(json_object_size(json_object_get(sim.agents[1].map, "peers")), 2);
	sim_run(&sim, USEC_PER_SEC);
	assert_int_equal(json_object_size(json_object_get(sim.agents[1].map, "peers")), 1);
	sim_settle(&sim);
	/* Its own map is about itself alone, and says where to go. */
	assert_int_equal(sim.agents[0].n_full, 2);
	assert_int_equal(json_object_size(json_object_get(sim.agents[0].map, "peers")), 0);
	assert_true(json_is_true(
		json_object_get(json_object_get(sim.agents[0].map, "self"), "key_expired")));
	/* It does not come back because the clock is set back. */
	sim.wall -= 60 * USEC_PER_SEC;
	sim_set_policy(&sim, OPEN_AND_SSH);
	sim_settle(&sim);
	sim_check(&sim, 1);
	assert_int_equal(json_object_size(json_object_get(sim.agents[1].map, "peers")), 1);
	/* Renewed, it is back. */
	sim.nodes[0].record.key_expiry = RECORD_NEVER;
	sim_store_node(&sim, 0);
	sim_settle(&sim);
	sim_check_all(&sim);
	assert_int_equal(json_object_size(json_object_get(sim.agents[0].map, "peers")), 2);
	sim_end(&sim);
}

/* ---- limits ---- */

static void test_slow_reader(void **state)
{
	struct sim sim;
	struct agent *slow = &sim.agents[1];
	char endpoint[32];

	begin(&sim, OPEN, five, 5);
	slow->slow = true;
	slow->n_max = 2;
	slow->n_delta = 0;
	for (unsigned i = 0; i < 50; i++) {
		snprintf(endpoint, sizeof(endpoint), "192.0.2.1:%u", 4000 + i);
		sim_set_facts(&sim, 0, endpoint, "", "192.0.2.1");
		sim_settle(&sim);
	}
	assert_int_equal(agent_n_lines(slow), 2);
	assert_int_equal(stats(&sim).queue_full, 1);
	assert_int_equal(stats(&sim).behind, 1);
	slow->slow = false;
	sim_settle(&sim);
	/* One line for all that it missed, and no full map. */
	assert_int_equal(slow->n_delta, 3);
	assert_int_equal(slow->n_full, 1);
	assert_int_equal(stats(&sim).catch_ups, 1);
	assert_int_equal(stats(&sim).behind, 0);
	sim_check_all(&sim);
	sim_end(&sim);
}

/* Other SSH rules came with another engine, whose serials mean something else. */
static void test_slow_reader_of_policy(void **state)
{
	struct sim sim;

	begin(&sim, OPEN_AND_SSH, five, 5);
	sim.agents[4].slow = true;
	sim.agents[4].n_max = 1;
	for (unsigned i = 0; i < 3; i++) {
		sim_set_facts(&sim, 0, i % 2 ? "192.0.2.1:1" : "192.0.2.1:2", "", "192.0.2.1");
		sim_settle(&sim);
	}
	assert_int_equal(stats(&sim).behind, 1);
	sim_set_policy(&sim, OPEN_AND_NO_SSH);
	sim_settle(&sim);
	sim.agents[4].slow = false;
	sim_settle(&sim);
	assert_int_equal(sim.agents[4].n_full, 1);
	sim_check_all(&sim);
	sim_end(&sim);
}

static void test_admission(void **state)
{
	struct sim sim;

	begin(&sim, OPEN, five, 5);
	sim.streams->config.max_full = 2;
	for (unsigned i = 0; i < 5; i++)
		sim_connect(&sim, i, false);
	/* The signed line is read; then two maps are on their way, which nobody reads. */
	sim_run(&sim, 0);
	for (unsigned i = 0; i < 5; i++)
		sim.agents[i].slow = true;
	sim_settle(&sim);
	assert_int_equal(stats(&sim).waiting_full, 3);
	assert_int_equal(sim.streams->n_full, 2);
	/* Who waits is kept alive, and not told to have come any further than it has. */
	for (unsigned i = 0; i < 31; i++)
		sim_run(&sim, USEC_PER_SEC);
	for (unsigned i = 0; i < 5; i++) {
		const struct conn *conn = sim.agents[i].conn;

		for (size_t k = 0; k < conn->n_lines; k++)
			assert_null(strstr(http_buf_data(conn->lines[k].body), "\"delta\""));
		assert_true(conn->n_lines >= 1);
		if (sim.agents[i].stream->full_bytes > 0)
			continue;
		sim.agents[i].slow = false;
		agent_read(&sim.agents[i]);
		sim.agents[i].slow = true;
	}
	/* One reads, another one goes away: two others have their turn. */
	for (unsigned i = 0, n = 0; i < 5 && n < 2; i++)
		if (sim.agents[i].stream->full_bytes > 0) {
			if (n++ == 0)
				sim_disconnect(&sim, i);
			else
				sim.agents[i].slow = false;
		}
	sim_settle(&sim);
	assert_int_equal(stats(&sim).waiting_full, 1);
	for (unsigned i = 0; i < 5; i++)
		sim.agents[i].slow = false;
	sim_settle(&sim);
	assert_int_equal(stats(&sim).waiting_full, 0);
	assert_int_equal(sim.streams->n_full, 0);
	sim_check_all(&sim);
	sim_end(&sim);
}

static int open_stream(struct sim *sim, const char *node, const struct wg_key *ephemeral)
{
	const struct stream_request request = { .node = node, .ephemeral = *ephemeral };
	struct stream *stream = NULL;
	int r = stream_new(sim->streams, &request, sim->wall, &stream);

	stream_free(stream);
	return r;
}

static void test_refused(void **state)
{
	struct wg_key private, public, zero = { 0 };
	struct sim sim;

	assert_int_equal(wg_key_generate(&private), 0);
	assert_int_equal(wg_key_public(&private, &public), 0);
	begin(&sim, OPEN, five, 2);
	assert_int_equal(open_stream(&sim, "n0", &public), 0);
	assert_int_equal(open_stream(&sim, "n99", &public), -ENOENT);
	assert_int_equal(open_stream(&sim, "n0", &zero), -EINVAL);
	sim.streams->config.max_streams = 2;
	sim_add_node(&sim, 0);
	assert_int_equal(open_stream(&sim, "n2", &public), -EBUSY);
	/* One for another is none more. */
	assert_int_equal(open_stream(&sim, "n0", &public), 0);
	streams_stop(sim.streams);
	assert_int_equal(open_stream(&sim, "n0", &public), -EBUSY);
	sim_end(&sim);
}

/* ---- ends ---- */

static void test_ends(void **state)
{
	struct sim sim;

	begin(&sim, OPEN, five, 4);
	assert_int_equal(sim.n_online, 4);
	/* The fixture sees to it that the older one is told. */
	sim_connect(&sim, 0, true);
	assert_int_equal(stats(&sim).replaced, 1);
	assert_int_equal(stats(&sim).streams, 4);
	assert_int_equal(sim.n_online, 4);
	sim_remove_node(&sim, 1);
	sim_settle(&sim);
	assert_string_equal(sim.agents[1].ended, "deleted");
	assert_null(sim.agents[1].stream);
	assert_int_equal(sim.n_online, 3);
	sim_disconnect(&sim, 2);
	assert_int_equal(sim.n_online, 2);
	streams_stop(sim.streams);
	sim_settle(&sim);
	assert_string_equal(sim.agents[0].ended, "stopping");
	assert_string_equal(sim.agents[3].ended, "stopping");
	assert_int_equal(sim.n_online, 0);
	sim_end(&sim);
}

/* Deleted before anything was told, and between the request and the first map. */
static void test_deleted_at_once(void **state)
{
	struct sim sim;
	unsigned node;

	begin(&sim, OPEN, five, 2);
	node = sim_add_node(&sim, 0);
	sim_connect(&sim, node, false);
	sim_remove_node(&sim, node);
	sim_settle(&sim);
	assert_string_equal(sim.agents[node].ended, "deleted");
	assert_int_equal(sim.agents[node].n_full, 0);
	sim_check_all(&sim);
	sim_end(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_body),
		cmocka_unit_test(test_apart),
		cmocka_unit_test(test_own_filter),
		cmocka_unit_test(test_policy_shared),
		cmocka_unit_test(test_policy_comes_back),
		cmocka_unit_test(test_coalescing),
		cmocka_unit_test(test_urgent),
		cmocka_unit_test(test_resume_nothing),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_resume_gone),
		cmocka_unit_test(test_resume_not_possible),
		cmocka_unit_test(test_resume_other_ssh),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_no_keepalive),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_slow_reader_of_policy),
		cmocka_unit_test(test_admission),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_deleted_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
