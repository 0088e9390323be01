/*
 * The maps of a real registry, on a real store: what operations do to them, that a restart loses
 * nothing by which agents resume, and that the agent's own parser takes what they get.
 */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/netmap/netmap.h"
#include "common/clock.h"
#include "common/text.h"
#include "coord/map/map.h"
#include "coord/registry/accounts.h"
#include "tests/unit/registry-fixture.h"

/* A stream whose lines are kept. It is as if they were read at once. */
struct reader {
	struct stream *stream;
	char *text; /* of all lines that wait_for() has not passed */
	unsigned n_full;
	bool undrained;
};

static struct ed25519_key *key;

static int reader_write(void *sink, const char *head, size_t head_len, struct http_buf *body)
{
	struct reader *reader = sink;

	char *longer = text_printf("%s%.*s", reader->text ? reader->text : "",
				   (int)http_buf_len(body), http_buf_data(body));

	free(reader->text);
	reader->text = longer;
	reader->n_full += strstr(http_buf_data(body), "\"type\":\"full\"") != NULL;
	reader->undrained = true;
	return 0;
}

static void reader_close(void *sink)
{
	((struct reader *)sink)->stream = NULL;
}

static const struct stream_sink_ops reader_ops = { .write = reader_write, .close = reader_close };

static void reader_done(struct reader *reader)
{
	if (reader->stream)
		stream_gone(reader->stream);
	free(reader->text);
	*reader = (struct reader){ 0 };
}

static struct map *new_map(struct fix *fix)
{
	const struct map_config config = { .key = key };
	struct map *map;

	assert_int_equal(map_new(fix->event, fix->registry, fix->store, &config, &map), 0);
	return map;
}

/* Changes are gathered for a moment: wait until the map has those that the registry has. */
static void settle(struct fix *fix, struct map *map)
{
	uint64_t end = clock_usec(CLOCK_MONOTONIC) + 10 * USEC_PER_SEC;
	struct map_stats stats;

	for (;;) {
		map_get_stats(map, &stats);
		if (stats.generation == registry_revision(fix->registry))
			return;
		assert_true(clock_usec(CLOCK_MONOTONIC) < end);
		assert_true(sd_event_run(fix->event, 100000) >= 0);
	}
}

static void open_reader(struct map *map, const char *node, const struct map_resume *resume,
			struct reader *reader)
{
	struct stream_request request = { .node = node, .resume = resume };
	struct wg_key private;

	assert_int_equal(wg_key_generate(&private), 0);
	assert_int_equal(wg_key_public(&private, &request.ephemeral), 0);
	assert_int_equal(map_open(map, &request, &reader->stream), 0);
	assert_int_equal(map_start(map, reader->stream, &reader_ops, reader), 0);
}

/*
 * The line that has this, which the caller frees, and none before it is looked at again. The test
 * fails after ten seconds.
 */
static char *wait_for(struct fix *fix, struct reader *reader, const char *text)
{
	uint64_t end = clock_usec(CLOCK_MONOTONIC) + 10 * USEC_PER_SEC;
	char *at, *begin, *line;

	while (!reader->text || !(at = strstr(reader->text, text))) {
		if (clock_usec(CLOCK_MONOTONIC) > end)
			fail_msg("\"%s\" does not come after %s", text, reader->text);
		if (reader->undrained && reader->stream) {
			reader->undrained = false;
			stream_drained(reader->stream);
		}
		assert_true(sd_event_run(fix->event, 100000) >= 0);
	}
	begin = memrchr(reader->text, '\n', (size_t)(at - reader->text));
	begin = begin ? begin + 1 : reader->text;
	line = strndup(begin, strcspn(begin, "\n"));
	memmove(reader->text, begin + strlen(line), strlen(begin + strlen(line)) + 1);
	return line;
}

static void expect(struct fix *fix, struct reader *reader, const char *text)
{
	free(wait_for(fix, reader, text));
}

/* As the agent takes it. */
static struct netmap *show(struct map *map, const char *node)
{
	_cleanup_(http_buf_unrefp) struct http_buf *json = NULL;
	_cleanup_free_ char *error = NULL;
	struct netmap *netmap = NULL;

	assert_int_equal(map_show(map, node, &json), 0);
	if (netmap_parse(http_buf_data(json), http_buf_len(json), "map", &error, &netmap) < 0)
		fail_msg("%s in %s", error, http_buf_data(json));
	return netmap;
}

static size_t n_peers(struct map *map, const char *node)
{
	_cleanup_(netmap_freep) struct netmap *netmap = show(map, node);

	return netmap->n_peers;
}

static void copy_id(char to[16], const char *id)
{
	snprintf(to, 16, "%s", id);
}

static void test_agent_takes_it(void **state)
{
	struct fix *fix = *state;
	_cleanup_(map_freep) struct map *map = new_map(fix);
	_cleanup_(netmap_freep) struct netmap *netmap = NULL;
	char a[16], b[16];

	copy_id(a, fix_node(fix, 1));
	copy_id(b, fix_node(fix, 2));
	netmap = show(map, a);
	assert_string_equal(netmap->self.id, a);
	assert_string_equal(netmap->domain, "mesh.example");
	assert_int_equal(netmap->n_prefixes, 2);
	assert_int_equal(netmap->n_peers, 1);
	assert_string_equal(netmap->peers[0].id, b);
	assert_int_equal(netmap->n_users, 1);
	/* The default policy. */
	assert_int_equal(netmap->n_filter, 1);
	assert_true(netmap->n_ssh_rules >= 1);
	assert_int_equal(netmap->generation, registry_revision(fix->registry));
}

static void test_operations(void **state)
{
	struct fix *fix = *state;
	_cleanup_(map_freep) struct map *map = new_map(fix);
	_cleanup_(http_buf_unrefp) struct http_buf *json = NULL;
	char a[16], b[16], c[16];

	copy_id(a, fix_node(fix, 1));
	copy_id(b, fix_node(fix, 2));
	copy_id(c, fix_node(fix, 3));
	assert_int_equal(n_peers(map, a), 2);
	FIX_OK(fix, registry_expire_node(fix->registry, &fix_root, b, FIX_DONE(fix)));
	assert_int_equal(n_peers(map, a), 1);
	assert_int_equal(n_peers(map, b), 0);
	FIX_OK(fix, registry_delete_node(fix->registry, &fix_root, c, FIX_DONE(fix)));
	assert_int_equal(n_peers(map, a), 0);
	assert_int_equal(map_show(map, c, &json), -ENOENT);
	fix_node(fix, 4);
	fix_set_policy(fix, "{\"acls\":[]}");
	assert_int_equal(n_peers(map, a), 0);
	fix_set_policy(fix,
		       "{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:*\"]}]}");
	assert_int_equal(n_peers(map, a), 1);
	/* Keys run out while nobody writes anything. */
	fix_set_time(fix_time() + 200 * FIX_DAY);
	assert_int_equal(n_peers(map, a), 0);
}

static void test_stream(void **state)
{
	struct fix *fix = *state;
	struct map *map = new_map(fix);
	struct reader reader = { 0 };
	struct map_stats stats;
	char a[16], b[16];

	copy_id(a, fix_node(fix, 1));
	copy_id(b, fix_node(fix, 2));
	settle(fix, map);
	open_reader(map, a, NULL, &reader);
	expect(fix, &reader, "\"type\":\"full\"");
	assert_true(registry_is_online(fix->registry, registry_node(fix->registry, a)));
	FIX_OK(fix, registry_delete_node(fix->registry, &fix_root, b, FIX_DONE(fix)));
	expect(fix, &reader, "\"peers_removed\":[\"");
	fix_node(fix, 3);
	expect(fix, &reader, "\"peers_changed\":[{");
	FIX_OK(fix, registry_expire_node(fix->registry, &fix_root, a, FIX_DONE(fix)));
	expect(fix, &reader, "\"key_expired\":true");
	map_get_stats(map, &stats);
	assert_int_equal(stats.streams.streams, 1);
	assert_int_equal(stats.nodes, 2);
	assert_int_equal(stats.nodes_expired, 1);
	assert_int_equal(stats.removed, 1);
	assert_int_equal(stats.generation, registry_revision(fix->registry));
	FIX_OK(fix, registry_delete_node(fix->registry, &fix_root, a, FIX_DONE(fix)));
	expect(fix, &reader, "\"reason\":\"deleted\"");
	assert_null(reader.stream);
	reader_done(&reader);
	map_free(map);
}

static void test_stop(void **state)
{
	struct fix *fix = *state;
	struct map *map = new_map(fix);
	struct reader reader = { 0 };

	open_reader(map, fix_node(fix, 1), NULL, &reader);
	expect(fix, &reader, "\"type\":\"full\"");
	map_stop(map);
	assert_non_null(strstr(reader.text, "\"reason\":\"stopping\""));
	assert_null(reader.stream);
	reader_done(&reader);
	map_free(map);
}

static const char *member(const json_t *map, const char *name)
{
	return json_string_value(json_object_get(json_object_get(map, "tokens"), name));
}

/* Another process, on the same store; a node was deleted while there was none. */
static void test_restart(void **state)
{
	struct fix *fix = *state;
	struct map *map = new_map(fix);
	struct reader reader = { 0 };
	struct map_resume resume;
	char a[16], b[16], *line;
	struct fix *second, *third;
	json_t *full;

	copy_id(a, fix_node(fix, 1));
	copy_id(b, fix_node(fix, 2));
	fix_node(fix, 3);
	settle(fix, map);
	open_reader(map, a, NULL, &reader);
	line = wait_for(fix, &reader, "\"type\":\"full\"");
	full = json_loads(line, 0, NULL);
	free(line);
	resume = (struct map_resume){
		.generation = (uint64_t)json_integer_value(json_object_get(full, "generation")),
		.policy = member(full, "policy"),
		.filter = member(full, "filter"),
		.ssh = member(full, "ssh"),
	};
	reader_done(&reader);
	map_free(map);
	second = fix_new(fix->store);
	fix_run(second);
	FIX_OK(second, registry_delete_node(second->registry, &fix_root, b, FIX_DONE(second)));
	fix_free(second, false);
	third = fix_new(fix->store);
	fix_run(third);
	map = new_map(third);
	open_reader(map, a, &resume, &reader);
	line = wait_for(third, &reader, "\"peers_removed\":[\"");
	assert_non_null(strstr(line, b));
	assert_null(strstr(line, "peers_changed"));
	assert_int_equal(reader.n_full, 0);
	free(line);
	reader_done(&reader);
	map_free(map);
	fix_free(third, false);
	json_decref(full);
}

/* A change that is not for agents makes no lines. */
static void test_others(void **state)
{
	struct fix *fix = *state;
	struct map *map = new_map(fix);
	struct reader reader = { 0 };
	struct map_stats before, after;

	open_reader(map, fix_node(fix, 1), NULL, &reader);
	expect(fix, &reader, "\"type\":\"full\"");
	map_get_stats(map, &before);
	fix_authkey(fix, "bob@example.com", NULL, true, false);
	for (unsigned i = 0; i < 3; i++)
		assert_true(sd_event_run(fix->event, 50000) >= 0);
	map_get_stats(map, &after);
	assert_int_equal(after.streams.flushes, before.streams.flushes);
	assert_int_equal(after.streams.delta, 0);
	reader_done(&reader);
	map_free(map);
}

static void sign_in(struct fix *fix, const char *group)
{
	char *groups[] = { (char *)group };
	const struct registry_identity identity = {
		.issuer = "https://idp.example",
		.subject = "1",
		.email = "bob@example.com",
		.groups = { .items = groups, .n = group ? 1 : 0 },
	};

	FIX_OK(fix, registry_sign_in_identity(fix->registry, &fix_root, &identity, false,
					      FIX_DONE(fix)));
}

static size_t n_rules(struct map *map, const char *node)
{
	_cleanup_(netmap_freep) struct netmap *netmap = show(map, node);

	return netmap->n_filter;
}

#define FOR_ENG \
	"{\"acls\": [{\"action\": \"accept\", \"src\": [\"group:eng\"], \"dst\": [\"*:22\"]}]}"

/* What a provider says of somebody's groups reaches agents with the sign-in; and by a restart. */
static void test_groups(void **state)
{
	static const struct registry_mapping mapping = { (char *)"https://idp.example",
							 (char *)"team", (char *)"group:eng" };
	struct fix *without = *state, *fix, *again;
	struct map *map;
	struct reader reader = { 0 };
	const char *authkey;
	char a[16];

	fix_mappings = &mapping;
	fix_n_mappings = 1;
	fix = fix_new(without->store);
	fix_run(fix);
	map = new_map(fix);
	fix_set_policy(fix, FOR_ENG);
	copy_id(a, fix_node(fix, 1));
	authkey = fix_authkey(fix, "bob@example.com", NULL, false, false);
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 2, .auth_key = authkey }));
	open_reader(map, a, NULL, &reader);
	expect(fix, &reader, "\"type\":\"full\"");
	assert_int_equal(n_rules(map, a), 0);
	sign_in(fix, "team");
	expect(fix, &reader, "\"peers_changed\":[{");
	assert_int_equal(n_rules(map, a), 1);
	sign_in(fix, "others");
	expect(fix, &reader, "\"peers_removed\":[\"");
	assert_int_equal(n_rules(map, a), 0);
	sign_in(fix, "team");
	expect(fix, &reader, "\"peers_changed\":[{");
	sign_in(fix, NULL);
	expect(fix, &reader, "\"peers_removed\":[\"");
	sign_in(fix, "team");
	reader_done(&reader);
	map_free(map);
	fix_free(fix, false);
	/* Mapped no more: the policy stays, nobody is in the group. */
	fix_n_mappings = 0;
	again = fix_new(without->store);
	fix_run(again);
	map = new_map(again);
	assert_int_equal(n_rules(map, a), 0);
	map_free(map);
	fix_free(again, false);
	fix_n_mappings = 1;
	again = fix_new(without->store);
	fix_run(again);
	map = new_map(again);
	assert_int_equal(n_rules(map, a), 1);
	map_free(map);
	fix_free(again, false);
	fix_n_mappings = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_agent_takes_it, fix_setup, fix_teardown),
		cmocka_unit_test_setup_teardown(test_operations, fix_setup, fix_teardown),
		cmocka_unit_test_setup_teardown(test_stream, fix_setup, fix_teardown),
		cmocka_unit_test_setup_teardown(test_stop, fix_setup, fix_teardown),
		cmocka_unit_test_setup_teardown(test_restart, fix_setup, fix_teardown),
		cmocka_unit_test_setup_teardown(test_others, fix_setup, fix_teardown),
		cmocka_unit_test_setup_teardown(test_groups, fix_setup, fix_teardown),
	};
	int r;

	if (ed25519_key_generate(&key) < 0)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	ed25519_key_free(key);
	return r;
}
