#include "tests/bench/coord/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "tests/bench/coord/admin.h"
#include "tests/bench/coord/bench.h"
#include "tests/bench/coord/mesh.h"
#include "tests/bench/coord/server.h"
#include "tests/bench/coord/sim.h"

/* Connections that are being made at a time. */
#define MAX_OPENING  256u
#define TIMEOUT_USEC (300 * USEC_PER_SEC)
#define CHANGE_USEC  (20 * USEC_PER_SEC)
#define SETTLE_USEC  (3 * USEC_PER_SEC)
#define WIDE_STEP    97u /* every so many nodes one whose endpoints change */

static void figure(const char *of, const char *what, double value)
{
	printf("%s %s\t%.6g\n", of, what, value);
	fflush(stdout);
}

static double seconds(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) / 1e6 : 0;
}

/* A port that the store does not know yet: a change to what there is would be none. */
static unsigned next_port(void)
{
	static unsigned port;

	if (port == 0)
		port = 10000 + (unsigned)clock_usec(CLOCK_REALTIME) % 50000;
	return ++port;
}

/* ---- what something has cost ---- */

struct cost {
	uint64_t at, in, out;
	double cpu;
};

static struct cost begin(void)
{
	sims_reset();
	return (struct cost){ bench_now(), conn_bytes_in, conn_bytes_out, server_cpu() };
}

static void end(const struct cost *before, const char *of)
{
	figure(of, "coordinator's CPU, s", server_cpu() - before->cpu);
	figure(of, "lines of maps, MB", (double)sims.bytes / 1e6);
	figure(of, "from the coordinator, MB", (double)(conn_bytes_in - before->in) / 1e6);
	figure(of, "to the coordinator, MB", (double)(conn_bytes_out - before->out) / 1e6);
}

static void settle(uint64_t usec)
{
	conn_run(NULL, bench_now() + usec);
}

/* ---- connecting ---- */

static unsigned n_begun;

static bool may_begin(void)
{
	return n_begun - sims.n_hello < MAX_OPENING;
}

static bool all_have_a_map(void)
{
	return sims.n_first == sims.n;
}

static void connect_all(bool resume, const char *of)
{
	struct cost cost = begin();
	uint64_t until = cost.at + TIMEOUT_USEC;

	for (n_begun = 0; n_begun < sims.n; n_begun++) {
		if (!conn_run(may_begin, until))
			die("%s: takes too long", of);
		sim_connect(&sims.items[n_begun], resume);
	}
	if (!conn_run(all_have_a_map, until))
		die("%s: takes too long: %u of %u have a map", of, sims.n_first, sims.n);
	figure(of, "time, s", seconds(cost.at, sims.last_at));
	end(&cost, of);
	figure(of, "full maps", (double)sims.n_full);
}

static bool is_nobody_there(void)
{
	json_auto_t *status = admin_ask("GET", "/v1/admin/status", NULL);
	const json_t *n = json_object_get(status, "streams");

	if (!json_is_integer(n))
		die("status: no number of streams");
	return json_integer_value(n) == 0;
}

static void disconnect_all(const char *of)
{
	uint64_t at = bench_now();
	double cpu = server_cpu();

	for (unsigned i = 0; i < sims.n; i++)
		sim_disconnect(&sims.items[i]);
	while (!is_nobody_there())
		if (bench_now() > at + TIMEOUT_USEC)
			die("the coordinator does not see that the agents have gone");
	figure(of, "until it knows that all have gone, s", seconds(at, bench_now()));
	figure(of, "coordinator's CPU for that, s", server_cpu() - cpu);
}

/* ---- one endpoint ---- */

static struct conn *telling;
static unsigned n_expected;

static void on_answer(const struct answer *answer, void *userdata)
{
	struct sim *sim = userdata;

	if (answer->status != 200)
		die("h%u: its endpoint: %u: %s", sim->number, answer->status, answer->text);
	telling = conn_close(telling);
}

static void on_end(const char *why, void *userdata)
{
	die("h%u: its endpoint: %s", ((struct sim *)userdata)->number, why);
}

static bool all_are_told(void)
{
	return !telling && sims.n_told >= n_expected;
}

/* Exactly its peers are told. */
static void check_told(const struct sim *sim)
{
	for (size_t i = 0; i < sim->n_peers; i++)
		if (!sims.items[sim->peers[i]].told_at)
			die("h%u was not told of h%u", sim->peers[i], sim->number);
	if (sims.n_told != sim->n_peers)
		die("%u were told of h%u, which has %zu peers", sims.n_told, sim->number,
		    sim->n_peers);
}

static void change_endpoint(struct sim *sim, unsigned port, struct samples *samples,
			    struct samples *last)
{
	static const struct conn_ops ops = { .on_answer = on_answer, .on_end = on_end };
	char endpoint[32], body[64];
	uint64_t at;

	sims_reset();
	mesh_endpoint(sim->number, port, endpoint);
	sims_await(endpoint, NULL);
	snprintf(body, sizeof(body), "{\"endpoints\":[\"%s\"]}", endpoint);
	n_expected = (unsigned)sim->n_peers;
	at = bench_now();
	telling = sim_ask(sim, "/v1/node", body, &ops);
	if (!conn_run(all_are_told, at + CHANGE_USEC))
		die("h%u: %u of %u were told", sim->number, sims.n_told, n_expected);
	samples_add(last, seconds(at, sims.last_at) * 1e3);
	for (size_t i = 0; i < sim->n_peers; i++)
		samples_add(samples, seconds(at, sims.items[sim->peers[i]].told_at) * 1e3);
	/* Nobody else, later. */
	settle(150000 + (uint64_t)random() % 50000);
	check_told(sim);
}

static bool is_seen_by_all(const struct sim *sim)
{
	return sim->n_peers > sims.n / 2;
}

static void change_endpoints(unsigned n, bool wide, const char *of)
{
	struct samples samples = { 0 }, last = { 0 }, peers = { 0 };
	struct cost cost = begin();

	for (unsigned i = 0, number = 0; i < n; number += wide ? 1 : WIDE_STEP) {
		struct sim *sim = &sims.items[number % sims.n];

		if (!sim->peers || !mesh_is_open(sim->number) || is_seen_by_all(sim) != wide)
			continue;
		change_endpoint(sim, next_port(), &samples, &last);
		i++;
		samples_add(&peers, (double)sim->n_peers);
	}
	figure(of, "who see it", samples_mean(&peers));
	figure(of, "half of them, ms", samples_quantile(&samples, 0.5));
	figure(of, "99 of 100, ms", samples_quantile(&samples, 0.99));
	figure(of, "last one of a change, median, ms", samples_quantile(&last, 0.5));
	figure(of, "last one of all changes, ms", samples_quantile(&samples, 1));
	figure(of, "coordinator's CPU for each, ms", (server_cpu() - cost.cpu) * 1e3 / n);
	figure(of, "from the coordinator for each, MB",
	       (double)(conn_bytes_in - cost.in) / 1e6 / n);
	samples_done(&samples);
	samples_done(&last);
	samples_done(&peers);
}

/* ---- policy ---- */

static bool all_have_the_policy(void)
{
	return admin_is_answered() && sims.n_told == sims.n;
}

static void change_policy(struct samples *samples, struct samples *last)
{
	unsigned port = next_port();
	uint64_t at = bench_now();

	sims_reset();
	sims_await(mesh_port_text(port), "\"packet_filter\"");
	mesh_begin_policy(port);
	if (!conn_run(all_have_the_policy, at + CHANGE_USEC))
		die("policy: %u of %u have it", sims.n_told, sims.n);
	samples_add(last, seconds(at, sims.last_at) * 1e3);
	for (unsigned i = 0; i < sims.n; i++)
		samples_add(samples, seconds(at, sims.items[i].told_at) * 1e3);
	settle(USEC_PER_SEC);
}

static void change_policies(unsigned n, const char *of)
{
	struct samples samples = { 0 }, last = { 0 };
	struct cost cost = begin();

	for (unsigned i = 0; i < n; i++)
		change_policy(&samples, &last);
	figure(of, "half of the nodes, ms", samples_quantile(&samples, 0.5));
	figure(of, "99 of 100, ms", samples_quantile(&samples, 0.99));
	figure(of, "last one, median, ms", samples_quantile(&last, 0.5));
	figure(of, "last one of all changes, ms", samples_quantile(&last, 1));
	figure(of, "coordinator's CPU for each, s", (server_cpu() - cost.cpu) / n);
	figure(of, "from the coordinator for each, MB",
	       (double)(conn_bytes_in - cost.in) / 1e6 / n);
	samples_done(&samples);
	samples_done(&last);
}

/* ---- all of it ---- */

static void idle(unsigned sec, const char *of)
{
	struct cost cost = begin();

	settle(sec * USEC_PER_SEC);
	figure(of, "coordinator's CPU, ms/s", (server_cpu() - cost.cpu) * 1e3 / sec);
	figure(of, "from the coordinator, kB/s", (double)(conn_bytes_in - cost.in) / 1e3 / sec);
}

static void start(const struct measure_options *options)
{
	json_auto_t *coordinator = NULL;

	server_start(options->program, options->log);
	coordinator = admin_ask("GET", "/v1/coordinator", NULL);
	sims_set_coordinator(json_string_value(json_object_get(coordinator, "key")));
	settle(SETTLE_USEC);
}

static void restart(const struct measure_options *options)
{
	server_stop();
	start(options);
	connect_all(true, "restart, resume");
}

void measure_enrol(const struct measure_options *options)
{
	uint64_t at;
	double cpu;

	start(options);
	mesh_set_up();
	at = bench_now();
	cpu = server_cpu();
	mesh_enrol();
	figure("enrol", "each, ms", seconds(at, bench_now()) * 1e3 / sims.n);
	figure("enrol", "coordinator's CPU for each, ms", (server_cpu() - cpu) * 1e3 / sims.n);
	server_stop();
}

static void choose_changing(void)
{
	for (unsigned i = 0; i < sims.n; i++)
		if (i % WIDE_STEP == 0 || mesh_is_monitor(i))
			sim_keep_peers(&sims.items[i]);
}

static void memory(const struct measure_options *options, const char *of, double before)
{
	double now;

	settle(options->rest_sec * USEC_PER_SEC);
	now = server_pss();
	figure(of, "PSS, MB", now / 1e3);
	figure(of, "for each stream, kB", (now - before) / sims.n);
}

void measure_all(const struct measure_options *options)
{
	double before;

	start(options);
	before = server_pss();
	figure("memory, nobody connected", "PSS, MB", before / 1e3);
	choose_changing();
	connect_all(false, "connect");
	memory(options, "memory, all connected", before);
	idle(options->idle_sec, "idle");
	change_endpoints(options->n_changes, false, "endpoint");
	change_endpoints(options->n_wide_changes, true, "endpoint that all see");
	change_policies(options->n_policies, "policy");
	disconnect_all("reconnect, resume");
	connect_all(true, "reconnect, resume");
	disconnect_all("reconnect, full");
	connect_all(false, "reconnect, full");
	memory(options, "memory, after all that", before);
	restart(options);
	memory(options, "memory, after a restart", before);
	server_stop();
}
