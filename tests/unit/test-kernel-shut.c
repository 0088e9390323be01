/*
 * The link is shut while what the packet filter needs is not all there: what kernel_apply() and its
 * companions do when the table is gone, or the link cannot be told. Needs root.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/kernel/kernel.h"
#include "common/clock.h"
#include "common/text.h"
#include "tests/unit/netns.h"
#include "tests/unit/wg-stand-in.h"

#define NOW	1795564800000000u
#define N_PORTS 5000u
/* What is promised; it takes a hundredth of that. */
#define PROMISED_USEC 200000u

#define TABLE_IS_EMPTY                                                          \
	"nft list chain inet peergate input | grep -q 'no rule lets it in' && " \
	"! nft list map inet peergate port4 | grep -q elements"
#define TABLE_IS_WHOLE	 "nft list map inet peergate port4 | grep -q elements"
#define LINK_IS_UP(name) "ip link show " name " | grep -q '[<,]UP'"

static struct kernel *open_kernel(sd_event *event, uint8_t key_byte)
{
	const struct kernel_config config = {
		.ifname = "mesh0",
		.listen_port = 51820,
		.gateway_port = 2022,
	};
	const struct wg_key key = { .bytes = { 0, key_byte } };
	struct kernel *kernel = NULL;

	assert_int_equal(kernel_new(event, &config, &key, &kernel), 0);
	return kernel;
}

/* A peer that may reach so many single ports: as large as a table of as many peers. */
static struct netmap *make_map(unsigned n_ports)
{
	_cleanup_free_ char *text = NULL, *error = NULL;
	struct netmap *map = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fputs("{\"type\": \"full\", \"version\": 1, \"for\": \"n1\", \"generation\": 1,"
	      " \"self\": {\"id\": \"n1\", \"name\": \"server\", \"addresses\": [\"100.64.0.1\"]},"
	      " \"mesh\": {\"domain\": \"mesh.example\", \"prefixes\": [\"100.64.0.0/10\"]},"
	      " \"peers\": [{\"id\": \"n2\", \"name\": \"laptop\", \"addresses\": [\"100.64.0.2\"],"
	      " \"node_key\": \"dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\"}],"
	      " \"ssh_rules\": [], \"packet_filter\": [{\"src\": [\"100.64.0.2\"], \"dst\": [",
	      out);
	for (unsigned i = 0; i < n_ports; i++)
		fprintf(out, "%s{\"ip\": \"100.64.0.1\", \"ports\": [%u, %u]}", i ? "," : "",
			2 * i + 80, 2 * i + 80);
	fputs("], \"proto\": [6, 17]}]}", out);
	fclose(out);
	if (netmap_parse(text, strlen(text), "m", &error, &map) < 0)
		fail_msg("%s", error);
	return map;
}

static struct kernel_changes apply(struct kernel *kernel, const struct netmap *map)
{
	_cleanup_free_ char *error = NULL;
	struct kernel_changes changes;

	if (kernel_apply(kernel, map, NOW, &changes, &error) < 0)
		fail_msg("%s", error);
	return changes;
}

static int setup(void **state)
{
	wg_stand_in_on_read = NULL;
	wg_stand_in_link_error = 0;
	wg_stand_in_wipe();
	run("for l in mesh0 old0; do ip link del $l 2>/dev/null; done; "
	    "ip route flush table main 2>/dev/null; nft flush ruleset");
	return 0;
}

struct told {
	struct kernel *kernel;
	unsigned n;
};

/* As the agent does. */
static void on_foreign(void *userdata, const char *what)
{
	struct told *told = userdata;

	told->n++;
	kernel_shut(told->kernel);
}

/* It is told of, shut by a table without rights, and then right again; the link stays up. */
static void test_flush_is_shut_at_once(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = make_map(N_PORTS);
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(kernel_freep) struct kernel *kernel = NULL;
	struct kernel_changes changes;
	struct told told = { 0 };
	uint64_t began, shut, whole;

	assert_int_equal(sd_event_new(&event), 0);
	told.kernel = kernel = open_kernel(event, 1);
	apply(kernel, map);
	while (sd_event_run(event, 0) > 0)
		;
	kernel_on_foreign_change(kernel, on_foreign, &told);
	run("nft flush ruleset");
	began = clock_usec(CLOCK_MONOTONIC);
	while (told.n == 0)
		assert_true(sd_event_run(event, PROMISED_USEC) > 0);
	shut = clock_usec(CLOCK_MONOTONIC) - began;
	run(TABLE_IS_EMPTY);
	began = clock_usec(CLOCK_MONOTONIC);
	changes = apply(kernel, map);
	whole = clock_usec(CLOCK_MONOTONIC) - began;
	run(TABLE_IS_WHOLE " && " LINK_IS_UP("mesh0"));
	/* What was done for it counts as done, and the link was not touched. */
	assert_int_equal(changes.nft_full_replacements, 1);
	assert_int_equal(changes.nft_elements_added, 2 * N_PORTS + 1);
	assert_int_equal(changes.links_changed, 0);
	print_message("%u elements: shut after %.1f ms, whole after %.1f ms more\n", 2 * N_PORTS,
		      (double)shut / 1000, (double)whole / 1000);
	assert_true(shut < PROMISED_USEC);
}

static unsigned n_read;

static void expect_table(void)
{
	n_read++;
	run(TABLE_IS_EMPTY);
}

/* Likewise for what an agent finds when it starts, before it looks at anything that takes long. */
static void test_start_without_table(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = make_map(1);
	struct kernel *first = open_kernel(NULL, 1);
	_cleanup_(kernel_freep) struct kernel *second = NULL;

	apply(first, map);
	kernel_free(first);
	run("nft flush ruleset");
	second = open_kernel(NULL, 1);
	n_read = 0;
	wg_stand_in_on_read = expect_table;
	assert_int_equal(apply(second, map).nft_full_replacements, 1);
	assert_int_equal(n_read, 1);
	run(TABLE_IS_WHOLE);
}

/* Nothing to do, or nothing to do it for: nothing is done. */
static void test_shut_needs_a_reason(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = make_map(1);
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL, 1);

	kernel_shut(kernel);
	assert_output("nft list ruleset", "");
	apply(kernel, map);
	kernel_shut(kernel);
	run(TABLE_IS_WHOLE);
	assert_int_equal(apply(kernel, map).nft_full_replacements, 0);
}

static void assert_apply_fails(struct kernel *kernel, const struct netmap *map, int expected)
{
	_cleanup_free_ char *error = NULL;
	struct kernel_changes changes;

	assert_int_equal(kernel_apply(kernel, map, NOW, &changes, &error), expected);
	assert_non_null(error);
}

/* Our link cannot be looked at: it stays as it is if it is filtered, and is taken down if not. */
static void test_link_cannot_be_told(void **state)
{
	static const struct {
		const char *damage;
		bool up;
	} cases[] = {
		{ "true", true },
		{ "nft flush ruleset", false },
		{ "nft insert rule inet peergate input accept", false },
		{ "ip link set mesh0 down && ip link set mesh0 name old0 && ip link set old0 up",
		  false },
	};
	_cleanup_(netmap_freep) struct netmap *map = make_map(1);
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL, 1);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *up = NULL;

		wg_stand_in_link_error = 0;
		apply(kernel, map);
		run(cases[i].damage);
		wg_stand_in_link_error = -ENOMEM;
		assert_apply_fails(kernel, map, -ENOMEM);
		up = output_of("ip link show up | grep -c -e mesh0 -e old0; true");
		if (atoi(up) != cases[i].up)
			fail_msg("%s: the link is %s", cases[i].damage, atoi(up) ? "up" : "down");
	}
	/* An agent that starts knows it by its mark. */
	wg_stand_in_link_error = 0;
	apply(kernel, map);
	kernel = kernel_free(kernel);
	run("nft flush ruleset");
	kernel = open_kernel(NULL, 1);
	wg_stand_in_link_error = -EIO;
	assert_apply_fails(kernel, map, -EIO);
	run("! ip link show up | grep mesh0");
}

/* For as long as nothing is put right, a link is up only with its name and the table. */
static void test_hold(void **state)
{
	static const char *const damage[] = {
		"nft flush ruleset",
		"ip link set mesh0 down && ip link set mesh0 name old0 && ip link set old0 up",
	};
	_cleanup_(netmap_freep) struct netmap *map = make_map(1);
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL, 1);

	for (size_t i = 0; i < ARRAY_SIZE(damage); i++) {
		apply(kernel, map);
		kernel_hold(kernel);
		run("ip link show up | grep -q mesh0");
		run(damage[i]);
		kernel_hold(kernel);
		run("! ip link show up | grep -e mesh0 -e old0");
	}
	apply(kernel, map);
	run(LINK_IS_UP("mesh0") " && " TABLE_IS_WHOLE);
}

/* The table must not go before the link: also when that has lost its mark. */
static void test_down_knows_our_link(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = make_map(1);
	struct kernel *kernel = open_kernel(NULL, 1);
	_cleanup_free_ char *error = NULL;

	apply(kernel, map);
	kernel_free(kernel);
	run("ip link set mesh0 alias ''");
	/* Without the key, it might be anybody's. */
	kernel = open_kernel(NULL, 2);
	assert_int_equal(kernel_down(kernel, &error), -EEXIST);
	assert_non_null(strstr(error, "link mesh0 is another program's, with the WireGuard key "));
	assert_non_null(strstr(error, "the packet filter stays, since without it"));
	kernel_free(kernel);
	run(LINK_IS_UP("mesh0") " && " TABLE_IS_WHOLE);
	free(error);
	error = NULL;
	kernel = open_kernel(NULL, 1);
	assert_int_equal(kernel_down(kernel, &error), 0);
	kernel_free(kernel);
	assert_output("nft list ruleset; ip link show mesh0 2>/dev/null || true", "");
}

/* A link of that name that WireGuard has nothing to do with is none of its business. */
static void test_down_leaves_others(void **state)
{
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL, 1);
	_cleanup_free_ char *error = NULL;

	run("ip link add old0 type veth peer name other0 && nft add table inet peergate");
	assert_int_equal(kernel_down(kernel, &error), 0);
	run("ip link show old0 >/dev/null && ip link del old0");
	assert_output("nft list ruleset", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_flush_is_shut_at_once, setup),
		cmocka_unit_test_setup(test_start_without_table, setup),
		cmocka_unit_test_setup(test_shut_needs_a_reason, setup),
		cmocka_unit_test_setup(test_link_cannot_be_told, setup),
		cmocka_unit_test_setup(test_hold, setup),
		cmocka_unit_test_setup(test_down_knows_our_link, setup),
		cmocka_unit_test_setup(test_down_leaves_others, setup),
	};

	if (!netns_enter())
		return NETNS_SKIP;
	wg_stand_in_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
