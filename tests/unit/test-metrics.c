/*
 * Numbers for monitoring: how they are counted, and the text that agentctl metrics makes of them.
 * The texts of tests/unit/data/agentctl/metrics*.txt are read by Prometheus' own parser as well,
 * see check-openmetrics.py.
 */
#include <netinet/in.h>

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "agent/ctl/metrics/metrics.h"
#include "agent/nft/tally.h"
#include "agent/stats.h"
#include "common/cleanup.h"
#include "common/openmetrics.h"
#include "common/text.h"
#include "tests/unit/golden.h"
#include "tests/unit/metrics-page.h"

#define NOW UINT64_C(1800000000000000) /* 2027-01-15T08:00:00Z */

/* ---- text ---- */

static json_t *load(const char *name)
{
	_cleanup_free_ char *text = golden_read(name);
	json_t *value = json_loads(text, 0, NULL);

	assert_non_null(value);
	return value;
}

static void check(const struct metrics *m, const char *golden)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	metrics_print(m, f);
	fclose(f);
	golden_check(golden, text);
}

static void test_text(void **state)
{
	json_auto_t *status = load("api/status.json"), *metrics = load("api/metrics.json");
	json_auto_t *peers = load("api/peers.json"), *no_map = load("agentctl/no-map-yet.json");
	const struct metrics nobody = { .now_usec = NOW };
	struct metrics m = {
		.status = status,
		.metrics = metrics,
		.peers = peers,
		.has_link = true,
		.link_rx_bytes = 5000000000,
		.link_tx_bytes = 17,
		.now_usec = NOW,
	};

	check(&m, "agentctl/metrics.txt");
	m.per_peer = true;
	check(&m, "agentctl/metrics-per-peer.txt");
	m = (struct metrics){ .status = no_map, .metrics = metrics, .now_usec = NOW };
	check(&m, "agentctl/metrics-no-map.txt");
	check(&nobody, "agentctl/metrics-down.txt");
}

static void test_page(void **state)
{
	_cleanup_free_ char *all = golden_read("agentctl/metrics-per-peer.txt");

	metrics_page_check("../../../agent/ctl/agentctl.1", all);
}

/* Numbers that could not be read are not shown as old ones, or as zero. */
static void test_what_is_missing_is_left_out(void **state)
{
	json_auto_t *status = load("api/status.json"), *metrics = load("api/metrics.json");
	json_auto_t *peers = load("api/peers.json");
	const struct metrics m = { .status = status, .metrics = metrics, .peers = peers };
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	json_object_set_new(metrics, "packetsProblem", json_string("Operation not permitted"));
	json_object_set_new(peers, "problem", json_string("No such device"));
	metrics_print(&m, f);
	fclose(f);
	assert_null(strstr(text, "_packets"));
	assert_null(strstr(text, "peergate_peers"));
	assert_null(strstr(text, "peergate_link"));
	assert_non_null(strstr(text, "peergate_agent_up 1\n"));
}

static void test_labels(void **state)
{
	const struct om_family family = { "x", "counter", NULL, "X." };
	const struct om_label label = { "a", "quote \" backslash \\ line\nend\033[2J" };
	const struct om_label second = { "b", "山田" };
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	om_begin(f, &family);
	om_number(f, &family, "_total", &label, &second, UINT64_MAX);
	om_seconds(f, &family, "_total", NULL, NULL, 1000002);
	om_end(f);
	fclose(f);
	assert_string_equal(text,
			    "# TYPE x counter\n# HELP x X.\n"
			    "x_total{a=\"quote \\\" backslash \\\\ line?end?[2J\",b=\"山田\"} "
			    "18446744073709551615\nx_total 1.000002\n# EOF\n");
}

static void test_link(void **state)
{
	static const char text[] = "Inter-|   Receive                         |  Transmit\n"
				   " face |bytes    packets errs drop fifo frame compressed "
				   "multicast|bytes    packets\n"
				   "    lo:     100       1    0    0    0     0          0        "
				   " 0      200       1\n"
				   "mesh01:       1       1    0    0    0     0          0        "
				   " 0        2       1\n"
				   " mesh0:5000000000     1    0    0    0     0          0        "
				   " 0       17       1\n";
	uint64_t rx = 0, tx = 0;

	assert_true(metrics_parse_link(text, "mesh0", &rx, &tx));
	assert_int_equal(rx, 5000000000);
	assert_int_equal(tx, 17);
	assert_false(metrics_parse_link(text, "mesh", &rx, &tx));
	assert_false(metrics_parse_link("", "mesh0", &rx, &tx));
	assert_false(metrics_parse_link("mesh0: 1 2 3", "mesh0", &rx, &tx));
}

/* ---- counting ---- */

static void test_reasons_are_few(void **state)
{
	static char names[2 * STATS_MAX_REASONS][8];
	struct stats_reasons reasons = { 0 };
	uint64_t n = 0;

	for (int i = 0; i < 2 * STATS_MAX_REASONS; i++) {
		snprintf(names[i], sizeof(names[i]), "r%d", i);
		stats_count(&reasons, names[i]);
		stats_count(&reasons, names[0]);
	}
	assert_int_equal(reasons.n, STATS_MAX_REASONS);
	assert_string_equal(reasons.of[0].reason, "r0");
	assert_int_equal(reasons.of[0].n, 2 * STATS_MAX_REASONS + 1);
	assert_string_equal(reasons.of[STATS_MAX_REASONS - 1].reason, "other");
	for (size_t i = 0; i < reasons.n; i++)
		n += reasons.of[i].n;
	assert_int_equal(n, 4 * STATS_MAX_REASONS);
}

static void run_nft(const char *rules)
{
	FILE *f = popen("nft -f -", "w");

	assert_non_null(f);
	fputs(rules, f);
	assert_int_equal(pclose(f), 0);
}

static void check_count(const struct nft_count *count, uint64_t packets, uint64_t bytes)
{
	assert_int_equal(count->packets, packets);
	assert_int_equal(count->bytes, bytes);
}

/* Of a table whose counters go on, begin anew, come and go. */
static void test_tally(void **state)
{
	_cleanup_(nlsock_freep) struct nlsock *sock = NULL;
	struct nft_tally tally = { 0 };

	if (unshare(CLONE_NEWNET) < 0)
		skip();
	assert_int_equal(nlsock_open(NETLINK_NETFILTER, &sock), 0);
	assert_int_equal(nft_tally_update(&tally, sock), 0);
	check_count(&tally.accepted, 0, 0);

	run_nft("table inet other {\n chain input {\n counter packets 9 bytes 9 drop comment "
		"\"x\"\n}\n}\n"
		"table inet peergate {\n"
		"chain input {\n counter packets 1 bytes 10 drop comment \"no rule\"\n}\n"
		"chain acl_1 {\n counter packets 5 bytes 500 accept comment \"acl:1\"\n}\n"
		"chain acl_2 {\n counter packets 7 bytes 700 accept comment \"acl:2\"\n}\n"
		"chain output {\n counter packets 2 bytes 20 drop comment \"no rule\"\n"
		" counter packets 4 bytes 40 drop comment \"mesh to elsewhere\"\n"
		" counter packets 8 bytes 80\n}\n}\n");
	assert_int_equal(nft_tally_update(&tally, sock), 0);
	check_count(&tally.accepted, 12, 1200);
	assert_int_equal(tally.n_dropped, 2);
	assert_string_equal(tally.dropped[0].reason, "no rule");
	check_count(&tally.dropped[0].count, 3, 30);
	check_count(&tally.dropped[1].count, 4, 40);
	assert_int_equal(nft_tally_update(&tally, sock), 0);
	check_count(&tally.accepted, 12, 1200);

	/* One goes on, one is gone, one is new; the reasons begin anew. */
	run_nft("delete table inet peergate\n"
		"table inet peergate {\n"
		"chain input {\n counter packets 2 bytes 2 drop comment \"no rule\"\n}\n"
		"chain acl_1 {\n counter packets 6 bytes 600 accept comment \"acl:1\"\n}\n"
		"chain acl_3 {\n counter packets 3 bytes 300 accept comment \"acl:3\"\n}\n}\n");
	assert_int_equal(nft_tally_update(&tally, sock), 0);
	check_count(&tally.accepted, 12 + 1 + 3, 1200 + 100 + 300);
	check_count(&tally.dropped[0].count, 3 + 2, 30 + 2);
	check_count(&tally.dropped[1].count, 4, 40);

	/* Without a table nothing is added, and nothing taken away. */
	run_nft("delete table inet peergate\n");
	assert_int_equal(nft_tally_update(&tally, sock), 0);
	check_count(&tally.accepted, 16, 1600);
	nft_tally_done(&tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_what_is_missing_is_left_out),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_reasons_are_few),
		cmocka_unit_test(test_tally),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
