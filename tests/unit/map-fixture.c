#include "tests/unit/map-fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/netmap/delta.h"
#include "common/base64.h"
#include "common/text.h"
#include "coord/map/streams_internal.h"
#include "coord/map/write.h"
#include "coord/policy/network.h"
#include "tests/unit/delta-text.h"
#include "tests/unit/netmap-same.h"

const char *const sim_users[MAX_USERS] = { "alice@example.com", "bob@example.com",
					   "carol@example.com", "dave@example.org",
					   "erin@example.org",	"frank@example.com" };

/* ---- agents: sinks ---- */

static void drop_line(struct conn *conn)
{
	free(conn->lines[0].head);
	http_buf_unref(conn->lines[0].body);
	conn->n_lines--;
	memmove(conn->lines, conn->lines + 1, conn->n_lines * sizeof(conn->lines[0]));
}

static struct conn *conn_free(struct conn *conn)
{
	while (conn && conn->n_lines > 0)
		drop_line(conn);
	free(conn);
	return NULL;
}

static int sink_write(void *sink, const char *head, size_t head_len, struct http_buf *body)
{
	struct conn *conn = sink;
	char *copy;

	if (conn->agent && conn->n_lines > 0 && conn->n_lines >= conn->agent->n_max)
		return -ENOBUFS;
	assert_true(conn->n_lines < ARRAY_SIZE(conn->lines));
	copy = strndup(head, head_len);
	if (!copy)
		return -ENOMEM;
	conn->lines[conn->n_lines++] =
		(struct line){ .head = copy, .head_len = head_len, .body = http_buf_ref(body) };
	return 0;
}

/* What is queued can still be read. */
static void sink_close(void *sink)
{
	struct conn *conn = sink;

	if (conn->agent) {
		conn->agent->stream = NULL;
		return;
	}
	assert_true(conn->n_lines > 0);
	assert_non_null(strstr(http_buf_data(conn->lines[conn->n_lines - 1].body),
			       "\"reason\":\"replaced\""));
	conn_free(conn);
}

static const struct stream_sink_ops sink_ops = { .write = sink_write, .close = sink_close };

/* ---- agents: maps ---- */

static void key_peers(json_t *map)
{
	json_t *by_id = json_object(), *peer;
	size_t i;

	json_array_foreach (json_object_get(map, "peers"), i, peer)
		json_object_set(by_id, json_string_value(json_object_get(peer, "id")), peer);
	assert_int_equal(json_object_size(by_id), json_array_size(json_object_get(map, "peers")));
	json_object_set_new(map, "peers", by_id);
}

static void patch(json_t *peer, const json_t *members)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)members, key, value) {
		if (json_is_null(value))
			json_object_del(peer, key);
		else
			json_object_set(peer, key, value);
	}
}

static const char *id_of(const json_t *node)
{
	const char *id = json_string_value(json_object_get(node, "id"));

	assert_non_null(id);
	return id;
}

static void apply_peers(json_t *peers, const json_t *delta)
{
	json_t *entry;
	size_t i;

	json_array_foreach (json_object_get(delta, "peers_removed"), i, entry)
		json_object_del(peers, json_string_value(entry));
	json_array_foreach (json_object_get(delta, "peers_changed"), i, entry)
		json_object_set(peers, id_of(entry), entry);
	json_array_foreach (json_object_get(delta, "peers_patched"), i, entry) {
		json_t *peer = json_object_get(peers, id_of(entry)), *copy;

		assert_non_null(peer);
		copy = json_deep_copy(peer);
		patch(copy, entry);
		json_object_set_new(peers, id_of(entry), copy);
	}
}

static void apply_delta(json_t *map, const json_t *delta)
{
	static const char *const sections[] = { "generation", "self",	       "mesh",
						"tokens",     "packet_filter", "ssh_rules" };

	assert_true(json_integer_value(json_object_get(delta, "generation")) >=
		    json_integer_value(json_object_get(map, "generation")));
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		json_t *value = json_object_get(delta, sections[i]);

		if (value)
			json_object_set(map, sections[i], value);
	}
	if (json_object_get(delta, "users") && !json_object_get(map, "users"))
		json_object_set_new(map, "users", json_object());
	json_object_update(json_object_get(map, "users"), json_object_get(delta, "users"));
	apply_peers(json_object_get(map, "peers"), delta);
}

/* What is in the line may be in the reader's map now. */
static void check_line(struct agent *agent, const json_t *line)
{
	static const char *const lists[] = { "peers_changed", "peers_patched" };
	json_t *full, *entry;
	const char *login;
	size_t i;

	/* One that waited for a slow reader shows what has been. */
	if (!world_find(agent->sim->world, agent->id) ||
	    (uint64_t)json_integer_value(json_object_get(line, "generation")) !=
		    agent->sim->world->generation)
		return;
	full = sim_full(agent->sim, agent->number);
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
		json_array_foreach (json_object_get(line, lists[k]), i, entry)
			if (!json_object_get(json_object_get(full, "peers"), id_of(entry)))
				fail_msg("%s is told of %s, who is no peer", agent->id,
					 id_of(entry));
	json_object_foreach (json_object_get(line, "users"), login, entry)
		if (!json_object_get(json_object_get(full, "users"), login))
			fail_msg("%s is told of %s, whom it has nothing to do with", agent->id,
				 login);
	if (json_object_get(line, "self"))
		assert_string_equal(id_of(json_object_get(line, "self")), agent->id);
	json_decref(full);
}

static void take_netmap(struct agent *agent, bool full)
{
	_cleanup_free_ char *error = NULL;
	struct netmap *map = NULL;
	size_t len = strlen(agent->last);
	int r = full ? netmap_parse(agent->last, len, "map", &error, &map)
		     : delta_parse(agent->netmap, agent->last, len, "delta", &error, &map);

	if (r < 0)
		fail_msg("%s: %s in %s", agent->id, error, agent->last);
	netmap_free(agent->netmap);
	agent->netmap = map;
}

static void take_object(struct agent *agent, json_t *line)
{
	const char *type = json_string_value(json_object_get(line, "type"));

	assert_non_null(type);
	assert_string_equal(agent->ended, "");
	if (strcmp(type, "full") == 0) {
		json_decref(agent->map);
		agent->map = json_incref(line);
		key_peers(agent->map);
		take_netmap(agent, true);
		agent->n_full++;
	} else if (strcmp(type, "delta") == 0) {
		assert_non_null(agent->map);
		check_line(agent, line);
		apply_delta(agent->map, line);
		take_netmap(agent, false);
		agent->n_delta++;
	} else if (strcmp(type, "keepalive") == 0) {
		agent->n_keepalive++;
	} else {
		assert_string_equal(type, "end");
		snprintf(agent->ended, sizeof(agent->ended), "%s",
			 json_string_value(json_object_get(line, "reason")));
	}
}

static void take_hello(struct agent *agent, const char *text, size_t len)
{
	const struct frame_id id = { .purpose = FRAME_HELLO, .nonce = agent->nonce };
	const char *body;
	size_t body_len;
	struct wg_key theirs;
	uint8_t digest[SHA256_LEN];
	json_t *hello;

	assert_int_equal(frame_verify_line(ed25519_key_public(agent->sim->key), &id, text, len,
					   &body, &body_len),
			 0);
	hello = json_loadb(body, body_len, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(hello, "type")), "hello");
	assert_string_equal(json_string_value(json_object_get(hello, "for")), agent->id);
	assert_int_equal(base64url_decode(json_string_value(json_object_get(hello, "ephemeral")),
					  43, theirs.bytes, sizeof(theirs.bytes)),
			 0);
	sha256(body, body_len, digest);
	assert_int_equal(frame_stream_begin(&agent->private, &theirs, &id, digest, &agent->key), 0);
	agent->greeted = true;
	json_decref(hello);
}

static void take_line(struct agent *agent, const char *text, size_t len)
{
	const char *body;
	size_t body_len;
	json_t *line;

	if (!agent->greeted) {
		take_hello(agent, text, len);
		return;
	}
	assert_int_equal(frame_stream_open(&agent->key, text, len, &body, &body_len), 0);
	line = json_loadb(body, body_len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(line);
	free(agent->last);
	agent->last = strndup(body, body_len);
	take_object(agent, line);
	json_decref(line);
}

static void read_line(struct agent *agent)
{
	struct line *line = &agent->conn->lines[0];
	size_t len = http_buf_len(line->body);
	_cleanup_free_ char *text = text_printf("%.*s%.*s", (int)line->head_len, line->head,
						(int)len, http_buf_data(line->body));

	agent->bytes += line->head_len + len;
	assert_int_equal(text[line->head_len + len - 1], '\n');
	take_line(agent, text, line->head_len + len - 1);
	drop_line(agent->conn);
}

size_t agent_n_lines(const struct agent *agent)
{
	return agent->conn ? agent->conn->n_lines : 0;
}

void agent_read(struct agent *agent)
{
	bool any = agent_n_lines(agent) > 0;

	if (agent->slow)
		return;
	while (agent_n_lines(agent) > 0) {
		read_line(agent);
		if (agent->n_left > 0 && --agent->n_left == 0)
			sim_disconnect(agent->sim, agent->number);
	}
	if (any && agent->stream)
		stream_drained(agent->stream);
}

/* ---- records ---- */

static struct sim_node *node_of(struct sim *sim, unsigned number)
{
	assert_true(number < MAX_NODES && sim->nodes[number].exists);
	return &sim->nodes[number];
}

static void hand_in(struct sim *sim, unsigned number)
{
	struct sim_node *node = &sim->nodes[number];
	int r = world_set_node(sim->world, &node->record, node->addresses);

	assert_true(r >= 0);
	if (r != WORLD_SAME)
		streams_changed(sim->streams, r == WORLD_URGENT, sim->now);
}

void sim_store_node(struct sim *sim, unsigned number)
{
	node_of(sim, number)->record.head.revision = ++sim->revision;
	hand_in(sim, number);
	world_set_revision(sim->world, sim->revision);
}

static void parse_endpoints(const char *text, struct endpoint_list *list)
{
	_cleanup_free_ char *copy = strdup(text);
	char *save = NULL;

	list->n = 0;
	list->items = realloc(list->items, RECORD_MAX_ENDPOINTS * sizeof(*list->items));
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		assert_int_equal(ip_endpoint_parse(word, &list->items[list->n++]), 0);
}

void sim_set_facts(struct sim *sim, unsigned number, const char *endpoints, const char *configured,
		   const char *seen)
{
	struct node_facts *facts = &node_of(sim, number)->record.facts;

	parse_endpoints(endpoints, &facts->endpoints);
	parse_endpoints(configured, &facts->configured);
	facts->seen = (struct ip_addr){ 0 };
	if (seen)
		assert_int_equal(ip_addr_parse(seen, &facts->seen), 0);
	sim_store_node(sim, number);
}

static void set_owner(struct node_record *record, int user, const char *tag)
{
	free(record->user);
	text_list_done(&record->tags);
	record->user = user >= 0 ? strdup(sim_users[user]) : NULL;
	if (user < 0) {
		record->tags.items = calloc(1, sizeof(char *));
		record->tags.items[0] = strdup(tag);
		record->tags.n = 1;
	}
}

void sim_set_owner(struct sim *sim, unsigned number, int user, const char *tag)
{
	set_owner(&node_of(sim, number)->record, user, tag);
	sim_store_node(sim, number);
}

static void set_addresses(struct sim_node *node, unsigned serial)
{
	char text[64];

	snprintf(text, sizeof(text), "100.64.%u.%u", serial / 250, serial % 250 + 1);
	assert_int_equal(ip_addr_parse(text, &node->addresses[0]), 0);
	snprintf(text, sizeof(text), "fd7a:115c:a1e0::%x", serial + 1);
	assert_int_equal(ip_addr_parse(text, &node->addresses[1]), 0);
	node->record.ipv4 = node->addresses[0];
}

static void agent_done(struct agent *agent)
{
	conn_free(agent->conn);
	json_decref(agent->map);
	netmap_free(agent->netmap);
	free(agent->last);
	frame_stream_done(&agent->key);
	*agent = (struct agent){ 0 };
}

static void init_agent(struct sim *sim, unsigned number)
{
	struct agent *agent = &sim->agents[number];

	agent_done(agent);
	*agent = (struct agent){ .sim = sim, .number = number, .n_max = 8 };
	memcpy(agent->id, sim->nodes[number].id, sizeof(agent->id));
}

unsigned sim_add_node(struct sim *sim, int user)
{
	unsigned number = 0;
	struct sim_node *node;

	/* Not that of an agent that has not been told yet that it is removed. */
	while (sim->nodes[number].exists || sim->agents[number].stream)
		number++;
	assert_true(number < MAX_NODES);
	node = &sim->nodes[number];
	*node = (struct sim_node){ .exists = true, .record.key_expiry = RECORD_NEVER };
	snprintf(node->id, sizeof(node->id), "n%u", sim->serial);
	snprintf(node->name, sizeof(node->name), "host%u", sim->serial);
	node->record.head.id = node->id;
	node->record.name = node->name;
	memcpy(node->record.key.bytes, &sim->serial, sizeof(sim->serial));
	node->record.key.bytes[16] = 1;
	node->record.facts.listen_port = 51820;
	set_addresses(node, sim->serial++);
	set_owner(&node->record, user, "tag:web");
	init_agent(sim, number);
	sim_store_node(sim, number);
	return number;
}

static void node_done(struct sim_node *node)
{
	node->record.head.id = node->record.name = NULL;
	node_record_done(&node->record);
	*node = (struct sim_node){ 0 };
}

/* The agent stays until the number is used again, to be told. */
void sim_remove_node(struct sim *sim, unsigned number)
{
	struct sim_node *node = node_of(sim, number);
	int r;

	removed_add(&sim->log, ++sim->revision, node->id);
	r = world_remove_node(sim->world, node->id, sim->revision);
	assert_true(r >= 0);
	if (r != WORLD_SAME)
		streams_changed(sim->streams, r == WORLD_URGENT, sim->now);
	node_done(node);
	if (!sim->agents[number].stream)
		agent_done(&sim->agents[number]);
}

static void hand_in_user(struct sim *sim, unsigned user)
{
	const struct user_record record = { .head = { (char *)sim_users[user],
						      sim->user_revision[user] },
					    .name = sim->user_name[user],
					    .roles = sim->user_roles[user] };
	const struct text_list groups = { 0 };
	int r = world_set_user(sim->world, &record, &groups);

	assert_true(r >= 0);
	if (r != WORLD_SAME)
		streams_changed(sim->streams, r == WORLD_URGENT, sim->now);
}

void sim_store_user(struct sim *sim, unsigned user, const char *name, unsigned roles)
{
	snprintf(sim->user_name[user], sizeof(sim->user_name[user]), "%s", name);
	sim->user_roles[user] = roles;
	sim->user_exists[user] = true;
	sim->user_revision[user] = ++sim->revision;
	hand_in_user(sim, user);
	world_set_revision(sim->world, sim->revision);
}

static void hand_in_policy(struct sim *sim)
{
	assert_int_equal(world_set_policy(sim->world, sim->policy, strlen(sim->policy)),
			 WORLD_URGENT);
	streams_changed(sim->streams, true, sim->now);
}

void sim_set_policy(struct sim *sim, const char *policy)
{
	sim->policy_before = sim->policy;
	sim->policy = policy;
	sim->revision++;
	hand_in_policy(sim);
	world_set_revision(sim->world, sim->revision);
}

/* ---- the coordinator ---- */

static void on_presence(const char *node, bool online, void *userdata)
{
	struct sim *sim = userdata;

	sim->n_online += online ? 1u : -1u;
}

static void start(struct sim *sim, uint64_t log_from)
{
	const struct streams_config config = { .key = sim->key,
					       .max_full = sim->max_full,
					       .on_presence = on_presence,
					       .userdata = sim };
	struct ip_prefix prefixes[2];

	assert_int_equal(ip_prefix_parse("100.64.0.0/10", &prefixes[0]), 0);
	assert_int_equal(ip_prefix_parse("fd7a:115c:a1e0::/48", &prefixes[1]), 0);
	assert_int_equal(world_new(&sim->world), 0);
	assert_int_equal(streams_new(sim->world, &config, &sim->streams), 0);
	sim->n_online = 0;
	assert_true(world_set_mesh(sim->world, "mesh.example", prefixes) >= 0);
	for (size_t i = 0; i < sim->log.n; i++)
		if (sim->log.items[i].revision > log_from)
			removed_add(&sim->world->removed, sim->log.items[i].revision,
				    sim->log.items[i].id);
	sim->world->removed.from = log_from;
}

void sim_restart(struct sim *sim, uint64_t log_from)
{
	for (unsigned i = 0; i < MAX_NODES; i++)
		sim_disconnect(sim, i);
	streams_free(sim->streams);
	world_free(sim->world);
	start(sim, log_from);
	for (unsigned i = 0; i < MAX_USERS; i++)
		if (sim->user_exists[i])
			hand_in_user(sim, i);
	for (unsigned i = 0; i < MAX_NODES; i++)
		if (sim->nodes[i].exists)
			hand_in(sim, i);
	hand_in_policy(sim);
	world_set_revision(sim->world, sim->revision);
}

void sim_begin(struct sim *sim, const char *policy)
{
	*sim = (struct sim){
		.now = 1000000000, .wall = 1800000000000000, .revision = 100, .max_full = 50
	};
	assert_int_equal(ed25519_key_generate(&sim->key), 0);
	start(sim, 0);
	sim_set_policy(sim, policy);
}

void sim_end(struct sim *sim)
{
	streams_free(sim->streams);
	world_free(sim->world);
	for (unsigned i = 0; i < MAX_NODES; i++) {
		agent_done(&sim->agents[i]);
		node_done(&sim->nodes[i]);
	}
	removed_done(&sim->log);
	ed25519_key_free(sim->key);
}

/* ---- connecting ---- */

static const char *token(const struct agent *agent, const char *name)
{
	return json_string_value(json_object_get(json_object_get(agent->map, "tokens"), name));
}

void sim_disconnect(struct sim *sim, unsigned number)
{
	struct agent *agent = &sim->agents[number];

	if (agent->stream)
		stream_gone(take_ptr(agent->stream));
	agent->conn = conn_free(agent->conn);
}

void sim_connect(struct sim *sim, unsigned number, bool resume)
{
	struct agent *agent = &sim->agents[number];
	const struct map_resume from = {
		.generation =
			(uint64_t)json_integer_value(json_object_get(agent->map, "generation")),
		.policy = token(agent, "policy"),
		.filter = token(agent, "filter"),
		.ssh = token(agent, "ssh"),
	};
	struct stream_request request = { .node = agent->id, .nonce = ++sim->nonce };
	struct stream *stream;

	if (agent->stream)
		agent->conn->agent = NULL;
	else
		conn_free(agent->conn);
	agent->conn = calloc(1, sizeof(*agent->conn));
	agent->conn->agent = agent;
	agent->nonce = request.nonce;
	agent->greeted = false;
	agent->n_left = 0;
	agent->ended[0] = '\0';
	assert_int_equal(wg_key_generate(&agent->private), 0);
	assert_int_equal(wg_key_public(&agent->private, &request.ephemeral), 0);
	if (resume && agent->map)
		request.resume = &from;
	assert_int_equal(stream_new(sim->streams, &request, sim->wall, &stream), 0);
	agent->stream = stream;
	assert_int_equal(stream_start(stream, &sink_ops, agent->conn, sim->now), 0);
}

/* ---- time ---- */

void sim_run(struct sim *sim, uint64_t usec)
{
	sim->now += usec;
	sim->wall += usec;
	streams_run(sim->streams, sim->now, sim->wall);
	for (unsigned i = 0; i < MAX_NODES; i++)
		agent_read(&sim->agents[i]);
}

static bool is_reading(const struct sim *sim)
{
	for (unsigned i = 0; i < MAX_NODES; i++)
		if (!sim->agents[i].slow && agent_n_lines(&sim->agents[i]) > 0)
			return true;
	return false;
}

void sim_settle(struct sim *sim)
{
	unsigned n = 0;

	do {
		sim_run(sim, 50000);
		assert_true(n++ < 1000);
	} while (is_reading(sim) || streams_due(sim->streams, sim->now, sim->wall) <= sim->now ||
		 world_is_pending(sim->world, sim->wall));
}

/* ---- checking ---- */

json_t *sim_full(struct sim *sim, unsigned number)
{
	_cleanup_(map_frame_unrefp) struct map_frame *frame = NULL;
	struct map_viewer ignored;
	json_error_t error;
	json_t *full;

	assert_int_equal(map_write_full(sim->world, world_find(sim->world, sim->agents[number].id),
					&ignored, &frame),
			 0);
	full = json_loadb(http_buf_data(frame->line), http_buf_len(frame->line),
			  JSON_REJECT_DUPLICATES, &error);
	if (!full)
		fail_msg("%s: %s", error.text, http_buf_data(frame->line));
	key_peers(full);
	return full;
}

static void show(const char *what, const json_t *value)
{
	_cleanup_free_ char *text = json_dumps(value, JSON_SORT_KEYS | JSON_ENCODE_ANY);

	print_error("%s: %s\n", what, text ? text : "none");
}

/* Of objects, the members that differ. */
static void show_difference(json_t *is, json_t *wanted)
{
	const char *key;
	json_t *value;

	if (!json_is_object(is) || !json_is_object(wanted)) {
		show("is", is);
		show("should be", wanted);
		return;
	}
	json_object_foreach (wanted, key, value)
		if (!json_equal(json_object_get(is, key), value)) {
			show("is", json_object_get(is, key));
			show("should be", value);
		}
	json_object_foreach (is, key, value)
		if (!json_object_get(wanted, key))
			show("should not be", value);
}

static void check_member(const struct agent *agent, const json_t *full, const char *name)
{
	json_t *is = json_object_get(agent->map, name), *wanted = json_object_get(full, name);

	if (json_equal(is, wanted))
		return;
	show_difference(is, wanted);
	fail_msg("%s: %s is not what it should be", agent->id, name);
}

static void check_users(const struct agent *agent, const json_t *full)
{
	const json_t *is = json_object_get(agent->map, "users");
	const char *login;
	json_t *user;

	json_object_foreach (json_object_get(full, "users"), login, user)
		if (!json_equal(json_object_get(is, login), user))
			fail_msg("%s: the user %s is missing, or is as before", agent->id, login);
}

/* The real agent understood the same. */
static void check_netmap(const struct agent *agent)
{
	json_t *document = json_copy(agent->map), *peers = json_array(), *peer;
	_cleanup_(netmap_freep) struct netmap *wanted = NULL;
	_cleanup_free_ char *text = NULL, *error = NULL;
	const char *id;

	json_object_foreach (json_object_get(agent->map, "peers"), id, peer)
		json_array_append(peers, peer);
	json_object_set_new(document, "peers", peers);
	text = json_dumps(document, 0);
	json_decref(document);
	if (netmap_parse(text, strlen(text), "map", &error, &wanted) < 0)
		fail_msg("%s: %s in %s", agent->id, error, text);
	if (!netmap_same(agent->netmap, wanted))
		fail_msg("%s: the agent has not understood %s", agent->id, text);
}

void sim_check(struct sim *sim, unsigned number)
{
	static const char *const members[] = { "for",		"self",	     "mesh",  "peers",
					       "packet_filter", "ssh_rules", "tokens" };
	struct agent *agent = &sim->agents[number];
	json_t *full = sim_full(sim, number);

	assert_non_null(agent->map);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		check_member(agent, full, members[i]);
	check_users(agent, full);
	check_netmap(agent);
	assert_true(json_integer_value(json_object_get(agent->map, "generation")) <=
		    json_integer_value(json_object_get(full, "generation")));
	json_decref(full);
}

/* ---- an engine of its own, made of the records ---- */

static struct policy_network *make_network(const struct sim *sim)
{
	struct policy_network *network = calloc(1, sizeof(*network));

	network->prefixes = calloc(2, sizeof(*network->prefixes));
	memcpy(network->prefixes, sim->world->prefixes, 2 * sizeof(*network->prefixes));
	network->n_prefixes = 2;
	network->users = calloc(MAX_USERS, sizeof(*network->users));
	for (unsigned i = 0; i < MAX_USERS; i++)
		if (sim->user_exists[i])
			network->users[network->n_users++] =
				(struct policy_user){ .login = strdup(sim_users[i]),
						      .roles = sim->user_roles[i] };
	network->nodes = calloc(MAX_NODES, sizeof(*network->nodes));
	for (unsigned i = 0; i < MAX_NODES; i++) {
		const struct node_record *record = &sim->nodes[i].record;
		const struct policy_node node = {
			.name = (char *)sim->nodes[i].id,
			.user = record->user,
			.tags = record->tags.items,
			.n_tags = record->tags.n,
			.addresses = (struct ip_addr *)sim->nodes[i].addresses,
			.n_addresses = 2,
		};

		if (sim->nodes[i].exists && !node_is_expired(record, sim->wall))
			assert_int_equal(
				policy_node_copy(&node, &network->nodes[network->n_nodes++]), 0);
	}
	return network;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Rules by their texts: in an engine, people who came later are behind the others. */
static char *sorted_rules(const json_t *rules)
{
	size_t n = json_array_size(rules);
	char **texts = calloc(n + 1, sizeof(*texts)), *all = strdup("");

	for (size_t i = 0; i < n; i++)
		texts[i] = json_dumps(json_array_get(rules, i), JSON_SORT_KEYS);
	qsort(texts, n, sizeof(*texts), compare_texts);
	for (size_t i = 0; i < n; i++) {
		char *longer = text_printf("%s%s\n", all, texts[i]);

		free(all);
		free(texts[i]);
		all = longer;
	}
	free(texts);
	return all;
}

static void check_rules(const char *name, const json_t *full, const struct policy_text *text)
{
	json_t *wanted = json_loads(text->data, 0, NULL);
	_cleanup_free_ char *x = sorted_rules(json_object_get(full, name)),
			    *y = sorted_rules(wanted);

	if (strcmp(x, y) != 0)
		fail_msg("%s is\n%sbut should be\n%s", name, x, y);
	json_decref(wanted);
}

static void check_against(struct policy_engine *engine, uint32_t index, const json_t *full)
{
	_cleanup_(policy_text_done) struct policy_text filter = { 0 }, ssh = { 0 };
	const json_t *peers = json_object_get(full, "peers");
	_cleanup_free_ uint32_t *indexes = NULL;
	size_t n;

	assert_int_equal(policy_peers(engine, index, &indexes, &n), 0);
	assert_int_equal(json_object_size(peers), n);
	for (size_t i = 0; i < n; i++)
		assert_non_null(
			json_object_get(peers, policy_engine_node(engine, indexes[i])->name));
	assert_int_equal(policy_filter_json(engine, index, &filter), 0);
	assert_int_equal(policy_ssh_json(engine, index, &ssh), 0);
	check_rules("packet_filter", full, &filter);
	check_rules("ssh_rules", full, &ssh);
}

/* Full maps are what the policy says of the nodes that there are. */
static void check_full(struct sim *sim)
{
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_(policy_engine_freep) struct policy_engine *engine = NULL;
	_cleanup_(policy_network_freep) struct policy_network *network = make_network(sim);
	struct policy *policy;

	assert_int_equal(policy_parse(sim->policy, strlen(sim->policy), &problems, &policy), 0);
	assert_int_equal(policy_engine_new(policy, network, &engine), 0);
	for (unsigned i = 0; i < MAX_NODES; i++) {
		uint32_t index;
		json_t *full;

		if (!sim->nodes[i].exists ||
		    policy_engine_find(engine, sim->nodes[i].id, &index) < 0)
			continue;
		full = sim_full(sim, i);
		check_against(engine, index, full);
		json_decref(full);
	}
	engine = policy_engine_free(engine);
	policy_free(policy);
}

/* One may wait for a full map while a slow reader has the only one that may be on its way. */
static bool is_waiting(const struct agent *agent)
{
	return agent->stream->in_full_queue && agent->sim->streams->n_full > 0;
}

void sim_check_all(struct sim *sim)
{
	check_full(sim);
	for (unsigned i = 0; i < MAX_NODES; i++) {
		const struct agent *agent = &sim->agents[i];

		if (agent->stream && !agent->slow && sim->nodes[i].exists && !is_waiting(agent))
			sim_check(sim, i);
	}
}
