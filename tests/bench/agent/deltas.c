/* One peer of many changes: by a delta, beside a whole map; and what the agent does after either.
 */
#include <stdio.h>
#include <string.h>

#include "agent/filter/compile.h"
#include "agent/netmap/delta.h"
#include "agent/netmap/json.h"
#include "common/text.h"
#include "tests/bench/agent/bench.h"
#include "tests/bench/agent/workload.h"
#include "tests/unit/delta-text.h"

#define ROUNDS 40

static const char *const deltas[] = {
	/* An endpoint. */
	"{\"type\":\"delta\",\"generation\":2,\"peers_patched\":["
	"{\"id\":\"n9\",\"endpoints\":[\"198.51.100.1:9\"]}]}",
	/* A new peer. */
	"{\"type\":\"delta\",\"generation\":2,\"peers_changed\":[{\"id\":\"m1\",\"name\":\"new\","
	"\"node_key\":\"dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\","
	"\"addresses\":[\"100.127.0.1\"],\"endpoints\":[\"198.51.100.1:9\"]}]}",
	/* One goes. */
	"{\"type\":\"delta\",\"generation\":2,\"peers_removed\":[\"n9\"]}",
};

static double measure_delta(const struct netmap *base, const char *text)
{
	double times[ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++) {
		_cleanup_free_ char *error = NULL;
		double start = bench_now_ms();
		struct netmap *map = NULL;

		if (delta_parse(base, text, strlen(text), "delta", &error, &map) < 0)
			bench_die("%s", error ? error : "no memory");
		times[i] = bench_now_ms() - start;
		netmap_free(map);
	}
	return bench_median(times, ROUNDS);
}

static double measure_parse(const struct workload *w)
{
	double times[BENCH_ROUNDS];
	size_t len;
	_cleanup_free_ char *text = workload_text(w, false, &len);

	for (size_t i = 0; i < BENCH_ROUNDS; i++) {
		_cleanup_(netmap_freep) struct netmap *map = NULL;
		_cleanup_free_ char *error = NULL;
		double start = bench_now_ms();

		if (netmap_parse(text, len, "map", &error, &map) < 0)
			bench_die("%s", error ? error : "no memory");
		times[i] = bench_now_ms() - start;
	}
	return bench_median(times, BENCH_ROUNDS);
}

static double measure_compile(const struct netmap *map)
{
	double times[BENCH_ROUNDS];

	for (size_t i = 0; i < BENCH_ROUNDS; i++) {
		_cleanup_(filter_table_freep) struct filter_table *table = NULL;
		_cleanup_free_ char *error = NULL;
		double start = bench_now_ms();

		if (filter_compile(map, WORKLOAD_NOW, &table, &error) < 0)
			bench_die("filter: %s", error ? error : "no memory");
		times[i] = bench_now_ms() - start;
	}
	return bench_median(times, BENCH_ROUNDS);
}

static double measure_write(const struct netmap *map)
{
	double times[BENCH_ROUNDS];

	for (size_t i = 0; i < BENCH_ROUNDS; i++) {
		_cleanup_free_ char *text = NULL;
		double start = bench_now_ms();
		size_t len;

		if (netmap_to_json(map, &text, &len) < 0)
			bench_die("no memory");
		times[i] = bench_now_ms() - start;
	}
	return bench_median(times, BENCH_ROUNDS);
}

static void measure_size(const struct workload *w)
{
	_cleanup_(netmap_freep) struct netmap *base = workload_map(w, false);

	printf("| %u | %u | %.1f |", w->n_peers, w->n_rules, measure_parse(w));
	for (size_t i = 0; i < ARRAY_SIZE(deltas); i++)
		printf(" %.2f |", measure_delta(base, deltas[i]));
	printf(" %.1f | %.1f |\n", measure_compile(base), measure_write(base));
}

void bench_deltas(void)
{
	puts("| peers | rules | whole map ms | endpoint ms | new peer ms | peer goes ms "
	     "| compile ms | write ms |\n|--:|--:|--:|--:|--:|--:|--:|--:|");
	workload_each(measure_size);
}
