/* All that a map asks of the kernel, WireGuard included, beside wg(8) and nft(8). */
#include <stdio.h>
#include <string.h>

#include "agent/kernel/kernel.h"
#include "tests/bench/agent/bench.h"
#include "tests/bench/agent/workload.h"

#define CHANGES 5

struct figures {
	double load[BENCH_ROUNDS], tools[BENCH_ROUNDS];
	double peer[2 * CHANGES], peer_tools[2 * CHANGES], rule[2 * CHANGES];
};

static struct kernel *open_kernel(sd_event *event)
{
	const struct kernel_config config = {
		.ifname = "mesh0",
		.listen_port = 51820,
		.gateway_port = 2022,
	};
	struct kernel *kernel = NULL;
	struct wg_key key;

	bench_new_namespace();
	if (wg_key_generate(&key) < 0 || kernel_new(event, &config, &key, &kernel) < 0)
		bench_die("cannot talk to the kernel");
	return kernel;
}

static double apply(struct kernel *kernel, const struct netmap *map)
{
	_cleanup_free_ char *error = NULL;
	struct kernel_changes changes;
	double start = bench_now_ms();

	if (kernel_apply(kernel, map, WORKLOAD_NOW, &changes, &error) < 0)
		bench_die("%s", error);
	return bench_now_ms() - start;
}

/* What the tools need for the same: files of what the kernel holds now. */
static void save_as(const char *suffix)
{
	bench_run("cd %s && wg showconf mesh0 >mesh%s.conf && nft list table inet peergate "
		  ">mesh%s.nft",
		  bench_folder(), suffix, suffix);
}

static double load_by_tools(const char *suffix)
{
	return bench_run("cd %s && wg syncconf mesh0 mesh%s.conf && { echo 'table inet peergate; "
			 "delete table inet peergate'; cat mesh%s.nft; } | nft -f -",
			 bench_folder(), suffix, suffix);
}

static void drain(sd_event *event)
{
	while (sd_event_run(event, 0) > 0)
		;
}

static void measure_load(sd_event *event, const struct netmap *map, struct figures *f, size_t i)
{
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(event);

	f->load[i] = apply(kernel, map);
	drain(event);
	save_as("");
	bench_new_namespace();
	bench_run("ip link add mesh0 type wireguard");
	f->tools[i] = load_by_tools("");
}

static void measure_changes(sd_event *event, const struct netmap *map, const struct netmap *peer,
			    const struct netmap *rule, struct figures *f)
{
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(event);

	apply(kernel, map);
	save_as("");
	for (size_t i = 0; i < 2 * CHANGES; i++) {
		f->peer[i] = apply(kernel, i % 2 ? map : peer);
		drain(event);
		if (i == 0)
			save_as("-peer");
		f->rule[i] = apply(kernel, i % 2 ? map : rule);
		drain(event);
		apply(kernel, i % 2 ? map : peer);
		drain(event);
	}
	for (size_t i = 0; i < 2 * CHANGES; i++)
		f->peer_tools[i] = load_by_tools(i % 2 ? "" : "-peer");
}

static void measure_size(const struct workload *w)
{
	const struct workload more = { w->n_peers + 1, w->n_rules };
	_cleanup_(netmap_freep) struct netmap *map = workload_map(w, false),
					      *peer = workload_map(&more, false),
					      *rule = workload_map(w, true);
	struct figures f;
	sd_event *event = NULL;

	if (sd_event_new(&event) < 0)
		bench_die("no event loop");
	for (size_t i = 0; i < BENCH_ROUNDS; i++)
		measure_load(event, map, &f, i);
	measure_changes(event, map, peer, rule, &f);
	printf("| %u | %u | %.1f | %.1f | %.2f | %.2f | %.1f | %.3f | %.2f |\n", w->n_peers,
	       w->n_rules, bench_median(f.load, BENCH_ROUNDS), bench_median(f.tools, BENCH_ROUNDS),
	       bench_median(f.load, BENCH_ROUNDS) / bench_median(f.tools, BENCH_ROUNDS),
	       bench_median(f.peer, 2 * CHANGES), bench_median(f.peer_tools, 2 * CHANGES),
	       bench_median(f.peer, 2 * CHANGES) / bench_median(f.peer_tools, 2 * CHANGES),
	       bench_median(f.rule, 2 * CHANGES));
	sd_event_unref(event);
}

void bench_kernel(void)
{
	puts("| peers | rules | load ms | wg syncconf + nft -f ms | ratio | one peer ms "
	     "| by the tools ms | ratio | one rule ms |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
	workload_each(measure_size);
}
