/*
 * What maps cost without HTTP: bench-map [NODES [sparse|mesh]]. Agents are sinks that count.
 * sparse: 200 users in 50 groups, and 100 rules of groups and tags; mesh: everybody sees everybody.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "coord/map/network.h"
#include "coord/map/streams_internal.h"
#include "coord/map/world.h"
#include "coord/map/write.h"
#include "coord/policy/text.h"

#define N_USERS	 200u
#define N_GROUPS 50u
#define N_TAGS	 40u
#define N_RUNS	 20u

struct bench_agent {
	struct stream *stream;
	size_t lines, bytes;
	bool drained;
};

static struct world *world;
static struct streams *streams;
static struct bench_agent *agents;
static unsigned n_nodes = 10000;
static uint64_t revision = 1, clock_now;
static bool mesh;

static void die(const char *what)
{
	fprintf(stderr, "bench-map: %s\n", what);
	exit(1);
}

/* One thread, no I/O: other work on the machine does not count. */
static double cpu_ms(void)
{
	return (double)clock_usec(CLOCK_PROCESS_CPUTIME_ID) / 1000;
}

/* ---- agents ---- */

static int sink_write(void *sink, const char *head, size_t head_len, struct http_buf *body)
{
	struct bench_agent *agent = sink;

	agent->lines++;
	agent->bytes += head_len + http_buf_len(body);
	agent->drained = false;
	return 0;
}

static void sink_close(void *sink)
{
	((struct bench_agent *)sink)->stream = NULL;
}

static const struct stream_sink_ops ops = { .write = sink_write, .close = sink_close };

static void drain(void)
{
	for (unsigned i = 0; i < n_nodes; i++)
		if (agents[i].stream && !agents[i].drained) {
			agents[i].drained = true;
			stream_drained(agents[i].stream);
		}
}

/* Until nothing is left to be done. */
static void settle(void)
{
	do {
		clock_now += 60000;
		streams_run(streams, clock_now, 1800000000000000);
		drain();
	} while (streams_due(streams, clock_now, 1800000000000000) <= clock_now);
}

struct totals {
	size_t agents, lines, bytes;
};

static struct totals total(void)
{
	struct totals t = { 0 };

	for (unsigned i = 0; i < n_nodes; i++) {
		t.agents += agents[i].lines > 0;
		t.lines += agents[i].lines;
		t.bytes += agents[i].bytes;
		agents[i].lines = agents[i].bytes = 0;
	}
	return t;
}

/* ---- nodes and policy ---- */

static void set_node(unsigned i, uint16_t port)
{
	char id[16], name[16], user[32], tag[16], host_key[96];
	char *tags[] = { tag }, *keys[] = { host_key };
	struct ip_endpoint endpoint = { .port = port };
	struct node_record node = { .head = { id, ++revision },
				    .name = name,
				    .key_expiry = RECORD_NEVER,
				    .facts.listen_port = 51820 };
	struct ip_addr addresses[2] = {
		{ AF_INET, { 100, (uint8_t)(64 + (i >> 16)), (uint8_t)(i >> 8), (uint8_t)i } },
		{ AF_INET6,
		  { 0xfd, 0x7a, [12] = (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8),
		    (uint8_t)i } },
	};

	snprintf(id, sizeof(id), "n%012u", i);
	snprintf(name, sizeof(name), "host%u", i);
	snprintf(user, sizeof(user), "user%u@example.com", i / 2 % N_USERS);
	snprintf(tag, sizeof(tag), "tag:t%u", i / 2 % N_TAGS);
	snprintf(host_key, sizeof(host_key), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA%032u", i);
	memcpy(node.key.bytes, &i, sizeof(i));
	node.facts.ssh_host_keys = (struct text_list){ keys, 1 };
	endpoint.addr = (struct ip_addr){ AF_INET, { 192, 0, (uint8_t)(i >> 8), (uint8_t)i } };
	node.facts.endpoints = (struct endpoint_list){ &endpoint, 1 };
	node.facts.seen = endpoint.addr;
	if (i % 3 == 0)
		node.facts.seen.bytes[0] = 203; /* behind NAT */
	if (i % 2)
		node.user = user;
	else
		node.tags = (struct text_list){ tags, 1 };
	if (world_set_node(world, &node, addresses) < 0)
		die("out of memory");
}

static void add_groups(struct policy_text *p)
{
	policy_text_puts(p, "{\"groups\":{");
	for (unsigned g = 0; g < N_GROUPS; g++) {
		policy_text_printf(p, "%s\"group:g%u\":[", g ? "," : "", g);
		for (unsigned u = 0; u < N_USERS / N_GROUPS; u++)
			policy_text_printf(p, "%s\"user%u@example.com\"", u ? "," : "",
					   u * N_GROUPS + g);
		policy_text_puts(p, "]");
	}
	policy_text_puts(p, "},\"tagOwners\":{");
	for (unsigned t = 0; t < N_TAGS; t++)
		policy_text_printf(p, "%s\"tag:t%u\":[]", t ? "," : "", t);
	policy_text_puts(p, "},");
}

/* port: what all rules say, so that another one is another filter for everybody. */
static void set_policy(unsigned port)
{
	struct policy_text p = { 0 };

	add_groups(&p);
	policy_text_puts(&p, "\"acls\":[");
	for (unsigned i = 0; i < 100 && !mesh; i++)
		policy_text_printf(&p,
				   "%s{\"action\":\"accept\",\"src\":[\"group:g%u\"],"
				   "\"dst\":[\"tag:t%u:%u\",\"group:g%u:%u\"]}",
				   i ? "," : "", i % N_GROUPS, i % N_TAGS, port,
				   (i * 7 + 3) % N_GROUPS, port);
	if (mesh)
		policy_text_printf(&p,
				   "{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:*\"]},"
				   "{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:%u\"]}",
				   port);
	policy_text_puts(&p, "],\"ssh\":[{\"action\":\"accept\",\"src\":[\"autogroup:member\"],"
			     "\"dst\":[\"autogroup:self\"],\"users\":[\"root\"]}]}");
	if (world_set_policy(world, p.data, p.len) < 0)
		die("the policy is none");
	policy_text_done(&p);
	world_set_revision(world, ++revision);
}

/* ---- what is measured ---- */

static void connect_one(unsigned i, const struct map_resume *resume)
{
	static struct wg_key public;
	struct stream_request request = { .node = world->nodes[i]->id,
					  .nonce = revision,
					  .resume = resume };
	struct wg_key private;

	if (wg_key_is_zero(&public) &&
	    (wg_key_generate(&private) < 0 || wg_key_public(&private, &public) < 0))
		die("no key");
	request.ephemeral = public;
	if (stream_new(streams, &request, 1800000000000000, &agents[i].stream) < 0 ||
	    stream_start(agents[i].stream, &ops, &agents[i], clock_now) < 0)
		die("no stream");
}

static void load(void)
{
	struct ip_prefix prefixes[2];
	double begin = cpu_ms();
	struct world_changes changes;
	size_t before = mallinfo2().uordblks;

	ip_prefix_parse("100.64.0.0/10", &prefixes[0]);
	ip_prefix_parse("fd7a::/48", &prefixes[1]);
	if (world_set_mesh(world, "mesh.example", prefixes) < 0)
		die("out of memory");
	for (unsigned i = 0; i < n_nodes; i++)
		set_node(i, 51820);
	set_policy(22);
	if (world_flush(world, 1800000000000000, &changes) < 0)
		die("out of memory");
	world_changes_done(world, &changes);
	world->removed.from = 0;
	printf("load %u nodes: %.1f ms, %.0f bytes each\n", n_nodes, cpu_ms() - begin,
	       (double)(mallinfo2().uordblks - before) / n_nodes);
}

static void connect_all(void)
{
	size_t before = mallinfo2().uordblks;
	double cpu = cpu_ms();
	struct totals t;

	for (unsigned i = 0; i < n_nodes; i++)
		connect_one(i, NULL);
	printf("begin %u streams: %.0f ms of CPU, %.0f bytes each\n", n_nodes, cpu_ms() - cpu,
	       (double)(mallinfo2().uordblks - before) / n_nodes);
	cpu = cpu_ms();
	settle();
	t = total();
	printf("full maps: %.0f ms of CPU, %.1f MB, %.1f kB each; memory per stream %.0f bytes\n",
	       cpu_ms() - cpu, (double)t.bytes / 1e6, (double)t.bytes / 1e3 / n_nodes,
	       (double)(mallinfo2().uordblks - before) / n_nodes);
}

/* As after a restart of the coordinator, but for filters: full maps of a large mesh take long. */
static void connect_known(void)
{
	double cpu = cpu_ms();
	struct totals t;

	for (unsigned i = 0; i < n_nodes; i++) {
		struct map_tokens tokens = { .view = world->nodes[i]->record.reach.view };
		char policy[MAP_POLICY_TOKEN_SIZE];
		struct map_resume resume = { .generation = world->generation, .policy = policy };

		if (network_node_hash(world,
				      policy_engine_node(world->now.engine, world->nodes[i]->index),
				      &tokens.policy) < 0)
			die("out of memory");
		map_policy_token(&tokens, policy);
		connect_one(i, &resume);
	}
	settle();
	t = total();
	printf("begin %u streams, all of which have the map: %.0f ms of CPU, %.1f MB\n", n_nodes,
	       cpu_ms() - cpu, (double)t.bytes / 1e6);
}

static void full_map(void)
{
	double cpu = cpu_ms();
	struct map_viewer ignored;
	size_t len = 0;

	for (unsigned i = 0; i < N_RUNS; i++) {
		struct map_frame *frame;

		if (map_write_full(world, world->nodes[i], &ignored, &frame) < 0)
			die("out of memory");
		len = map_frame_len(frame);
		map_frame_unref(frame);
	}
	printf("a full map: %.2f ms, %.0f kB\n", (cpu_ms() - cpu) / N_RUNS, (double)len / 1e3);
}

static void change_endpoints(unsigned n, const char *what)
{
	double sum = 0, max = 0;
	struct totals t = { 0 };

	for (unsigned run = 0; run < N_RUNS; run++) {
		double begin = cpu_ms();
		double ms;

		for (unsigned i = 0; i < n; i++)
			set_node((run * 1013 + i * 37) % n_nodes, (uint16_t)(40000 + run));
		streams_changed(streams, false, clock_now);
		clock_now += 60000;
		streams_run(streams, clock_now, 1800000000000000);
		ms = cpu_ms() - begin;
		sum += ms;
		max = ms > max ? ms : max;
		t = total();
		drain();
	}
	printf("%s: %.2f ms, worst of %u %.2f ms; last one to %zu nodes, %.3f MB\n", what,
	       sum / N_RUNS, N_RUNS, max, t.agents, (double)t.bytes / 1e6);
}

static void change_policy(void)
{
	double max = 0, sum = 0;
	struct streams_stats stats;
	uint64_t made = 0;
	struct totals t = { 0 };

	for (unsigned run = 0; run < 5; run++) {
		double begin = cpu_ms();
		double ms;

		streams_get_stats(streams, &stats);
		made = stats.delta_bodies;
		set_policy(1000 + run);
		streams_changed(streams, true, clock_now);
		streams_run(streams, clock_now, 1800000000000000);
		ms = cpu_ms() - begin;
		sum += ms;
		max = ms > max ? ms : max;
		t = total();
		drain();
	}
	streams_get_stats(streams, &stats);
	printf("policy, another filter for all: %.0f ms, worst of 5 %.0f ms (compiled in %.0f); "
	       "to %zu nodes, %.1f MB, %llu bodies\n",
	       sum / 5, max, (double)stats.rebuild_usec_max / 1000, t.agents, (double)t.bytes / 1e6,
	       (unsigned long long)(stats.delta_bodies - made));
}

static void reconnect(void)
{
	struct map_tokens *tokens = calloc(n_nodes, sizeof(*tokens));
	uint64_t generation = world->generation;
	struct streams_stats before, after;
	struct totals t;
	double cpu;

	for (unsigned i = 0; i < n_nodes; i++) {
		tokens[i] = agents[i].stream->viewer.told;
		stream_gone(agents[i].stream);
	}
	streams_get_stats(streams, &before);
	cpu = cpu_ms();
	for (unsigned i = 0; i < n_nodes; i++) {
		char policy[MAP_POLICY_TOKEN_SIZE], filter[MAP_HASH_SIZE], ssh[MAP_HASH_SIZE];
		const struct map_resume resume = {
			.generation = generation,
			.policy = map_policy_token(&tokens[i], policy),
			.filter = map_hash_to_string(&tokens[i].filter, filter),
			.ssh = map_hash_to_string(&tokens[i].ssh, ssh),
		};

		connect_one(i, &resume);
	}
	settle();
	t = total();
	streams_get_stats(streams, &after);
	printf("all reconnect with resume: %.0f ms of CPU, %.2f MB, %llu by a delta\n",
	       cpu_ms() - cpu, (double)t.bytes / 1e6,
	       (unsigned long long)(after.resumed_delta - before.resumed_delta));
	free(tokens);
}

static void idle(void)
{
	double cpu = cpu_ms();
	struct totals t;

	for (unsigned i = 0; i < 600; i++) {
		clock_now += 100000;
		streams_run(streams, clock_now, 1800000000000000);
		drain();
	}
	t = total();
	printf("a minute of keepalives: %.0f ms of CPU, %zu lines, %.2f MB\n", cpu_ms() - cpu,
	       t.lines, (double)t.bytes / 1e6);
}

int main(int argc, char **argv)
{
	struct streams_config config = { 0 };
	struct ed25519_key *key = NULL;

	if (argc > 1)
		n_nodes = (unsigned)atoi(argv[1]);
	mesh = argc > 2 && strcmp(argv[2], "mesh") == 0;
	agents = calloc(n_nodes, sizeof(*agents));
	clock_now = clock_usec(CLOCK_MONOTONIC);
	if (!agents || ed25519_key_generate(&key) < 0 || world_new(&world) < 0)
		die("out of memory");
	config.key = key;
	if (streams_new(world, &config, &streams) < 0)
		die("out of memory");
	load();
	full_map();
	if (mesh && n_nodes > 3000)
		connect_known();
	else
		connect_all();
	change_endpoints(1, "one endpoint");
	change_endpoints(100, "100 endpoints in a tick");
	change_policy();
	reconnect();
	idle();
	streams_free(streams);
	world_free(world);
	ed25519_key_free(key);
	free(agents);
	return 0;
}
