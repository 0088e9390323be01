/* Loading and changing the table: ours, and nft(8) with a file of the same contents. */
#include <stdio.h>
#include <string.h>

#include "agent/filter/compile.h"
#include "agent/nft/nft.h"
#include "tests/bench/agent/bench.h"
#include "tests/bench/agent/workload.h"

#define CHANGES 20 /* there and back */

static struct filter_table *compile(const struct netmap *map)
{
	_cleanup_free_ char *error = NULL;
	struct filter_table *table;

	if (filter_compile(map, WORKLOAD_NOW, &table, &error) < 0)
		bench_die("filter: %s", error ? error : "no memory");
	return table;
}

static void apply(struct nft *nft, struct filter_table *table)
{
	_cleanup_(filter_table_freep) struct filter_table *old = NULL;
	_cleanup_free_ char *error = NULL;
	struct nft_changes changes;

	if (nft_apply(nft, table, false, &changes, &old, &error) < 0)
		bench_die("nft: %s", error);
}

/* In a fresh namespace, as the agent has it: watched, so that it need not look each time. */
static struct nft *open_nft(sd_event *event)
{
	const struct nft_config config = { .ifname = "mesh0", .gateway_port = 2022 };
	struct nft *nft = NULL;

	bench_new_namespace();
	if (nft_open(event, &config, &nft) < 0)
		bench_die("cannot open nfnetlink");
	return nft;
}

struct figures {
	double parse[BENCH_ROUNDS], compile[BENCH_ROUNDS], load[BENCH_ROUNDS], file[BENCH_ROUNDS];
	double change[2 * CHANGES], change_all[2 * CHANGES], element[2 * CHANGES];
};

static void measure_load(sd_event *event, const struct workload *w, struct figures *f, size_t i)
{
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	_cleanup_(nft_freep) struct nft *nft = open_nft(event);
	struct filter_table *table;
	double t[4];

	t[0] = bench_now_ms();
	map = workload_map(w, false);
	t[1] = bench_now_ms();
	table = compile(map);
	t[2] = bench_now_ms();
	apply(nft, table);
	t[3] = bench_now_ms();
	f->parse[i] = t[1] - t[0];
	f->compile[i] = t[2] - t[1];
	f->load[i] = t[3] - t[2];
	bench_run("nft list table inet peergate >%s/table.nft", bench_folder());
	bench_new_namespace();
	f->file[i] = bench_run("nft -f %s/table.nft", bench_folder());
}

/* From one map to the other and back, again and again. */
static void measure_changes(sd_event *event, const struct workload *w, const struct workload *w2,
			    bool extra_rule, struct figures *f)
{
	_cleanup_(netmap_freep) struct netmap *one = workload_map(w, false),
					      *two = workload_map(w2, extra_rule);
	_cleanup_(nft_freep) struct nft *nft = open_nft(event);

	apply(nft, compile(one));
	for (size_t i = 0; i < 2 * CHANGES; i++) {
		double start = bench_now_ms(), compiled;
		struct filter_table *table = compile(i % 2 ? one : two);

		compiled = bench_now_ms();
		apply(nft, table);
		f->change[i] = bench_now_ms() - compiled;
		f->change_all[i] = bench_now_ms() - start;
		while (sd_event_run(event, 0) > 0)
			;
	}
}

/* The same single change by hand: one element of the map of sources. */
static void measure_element(struct figures *f)
{
	for (size_t i = 0; i < 2 * CHANGES; i++)
		f->element[i] = bench_run("nft %s element inet peergate src4 '{ 100.64.0.77%s }'",
					  i % 2 ? "delete" : "add", i % 2 ? "" : " : 1");
}

static void measure_size(const struct workload *w)
{
	const struct workload more = { w->n_peers + 1, w->n_rules };
	struct figures f;
	sd_event *event = NULL;
	double change, change_all, element;

	if (sd_event_new(&event) < 0)
		bench_die("no event loop");
	for (size_t i = 0; i < BENCH_ROUNDS; i++)
		measure_load(event, w, &f, i);
	measure_changes(event, w, &more, false, &f);
	measure_element(&f);
	change = bench_median(f.change, 2 * CHANGES);
	change_all = bench_median(f.change_all, 2 * CHANGES);
	element = bench_median(f.element, 2 * CHANGES);
	measure_changes(event, w, w, true, &f);
	printf("| %u | %u | %.1f | %.1f | %.1f | %.1f | %.2f | %.2f | %.2f | %.1f | %.2f | %.2f "
	       "|\n",
	       w->n_peers, w->n_rules, bench_median(f.parse, BENCH_ROUNDS),
	       bench_median(f.compile, BENCH_ROUNDS), bench_median(f.load, BENCH_ROUNDS),
	       bench_median(f.file, BENCH_ROUNDS),
	       bench_median(f.load, BENCH_ROUNDS) / bench_median(f.file, BENCH_ROUNDS), change,
	       change_all, element, bench_median(f.change, 2 * CHANGES),
	       bench_median(f.change_all, 2 * CHANGES));
	sd_event_unref(event);
}

void bench_rules(void)
{
	puts("| peers | rules | parse ms | compile ms | load ms | nft -f ms | load/nft -f "
	     "| one peer ms | with compile | nft element ms | one rule ms | with compile |\n"
	     "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
	workload_each(measure_size);
}
