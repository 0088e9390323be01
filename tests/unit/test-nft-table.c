/* The table on a real kernel, in a network namespace of its own. Needs root. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/filter/compile.h"
#include "agent/nft/nft.h"
#include "agent/nft/owner.h"
#include "common/clock.h"
#include "common/text.h"
#include "tests/unit/golden.h"
#include "tests/unit/netns.h"

#define NOW 1795564800000000u

static const char map_template[] =
	"{\"type\": \"full\", \"version\": 1, \"for\": \"n1\", \"generation\": 1,"
	" \"self\": {\"id\": \"n1\", \"name\": \"server\","
	"            \"addresses\": [\"100.64.0.1\", \"fd00:1::1\"], \"ssh\": true},"
	" \"mesh\": {\"domain\": \"mesh.example\", \"prefixes\": [\"100.64.0.0/10\","
	"            \"fd00:1::/48\"]},"
	" \"peers\": ["
	"  {\"id\": \"n2\", \"name\": \"laptop\", \"addresses\": [\"100.64.0.2\", \"fd00:1::2\"],"
	"   \"node_key\": \"dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\"},"
	"  {\"id\": \"n3\", \"name\": \"desktop\", \"addresses\": [\"100.64.0.3\", \"fd00:1::3\"],"
	"   \"node_key\": \"M3d3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\"},"
	"  {\"id\": \"n4\", \"name\": \"router\", \"addresses\": [\"100.64.0.4\"],"
	"   \"node_key\": \"NHd3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\","
	"   \"routes\": [\"10.1.0.0/16\", \"2001:db8::/64\"]}],"
	" \"packet_filter\": [%s], \"ssh_rules\": []}";

#define RULE(src, ip, ports, rest) \
	"{\"src\": [" src "], \"dst\": [{\"ip\": \"" ip "\", \"ports\": [" ports "]}]" rest "}"
#define LAPTOP	"\"100.64.0.2\", \"fd00:1::2\""
#define DESKTOP "\"100.64.0.3\", \"fd00:1::3\""

/* Overlaps, all families, adjoining ranges behind a router. */
#define LINE_14 ", \"proto\": [6], \"origin\": \"acls[0] line 14\""
#define LINE_20 ", \"origin\": \"acls[1] line 20\""
#define TCP	", \"proto\": [6]"
#define BEHIND	"\"10.0.0.0/8\", \"2001:db8::/32\""
static const char golden_filter[] =
	RULE(LAPTOP ", " DESKTOP, "100.64.0.1", "22, 22", LINE_14)    /* acl_0 */
	"," RULE(LAPTOP ", " DESKTOP, "fd00:1::1", "22, 22", LINE_14) /* acl_1 */
	"," RULE(LAPTOP, "100.64.0.1", "0, 1023", LINE_20)	      /* acl_2 */
	"," RULE(LAPTOP, "fd00:1::1", "0, 1023", LINE_20)	      /* acl_3 */
	"," RULE(BEHIND, "100.64.0.1", "80, 80", TCP)		      /* acl_4 */
	"," RULE("\"10.1.4.0/24\"", "100.64.0.1", "443, 443", TCP)    /* acl_5 */
	"," RULE("\"2001:db8::/64\"", "fd00:1::1", "443, 443", TCP);  /* acl_6 */

static struct filter_table *compile(const char *filter)
{
	_cleanup_free_ char *text = text_printf(map_template, filter), *error = NULL;
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	struct filter_table *table = NULL;

	if (netmap_parse(text, strlen(text), "m", &error, &map) < 0)
		fail_msg("%s: %s", filter, error);
	assert_int_equal(filter_compile(map, NOW, &table, &error), 0);
	return table;
}

static struct nft *open_as(sd_event *event, bool own)
{
	const struct nft_config config = { .ifname = "mesh0", .gateway_port = 2022, .own = own };
	struct nft *nft = NULL;

	assert_int_equal(nft_open(event, &config, &nft), 0);
	return nft;
}

/* A table that others can change, as on kernels before 6.9. */
static struct nft *open_nft(sd_event *event)
{
	return open_as(event, false);
}

static struct nft_changes apply(struct nft *nft, const char *filter, bool ssh)
{
	_cleanup_(filter_table_freep) struct filter_table *old = NULL;
	_cleanup_free_ char *error = NULL;
	struct nft_changes changes;
	int r;

	r = nft_apply(nft, compile(filter), ssh, &changes, &old, &error);
	if (r < 0)
		fail_msg("%s: %s", strerror(-r), error ? error : "");
	return changes;
}

static void assert_changes(struct nft_changes changes, unsigned full, unsigned added,
			   unsigned removed)
{
	if (changes.full_replacements != full || changes.elements_added != added ||
	    changes.elements_removed != removed)
		fail_msg("%u full, %u added, %u removed; expected %u, %u, %u",
			 changes.full_replacements, changes.elements_added,
			 changes.elements_removed, full, added, removed);
}

static char *list_table(void)
{
	/* Numbers of protocols: not every machine has their names. */
	return output_of("nft -p list table inet peergate");
}

static int setup(void **state)
{
	run("nft flush ruleset");
	return 0;
}

static void test_golden(void **state)
{
	_cleanup_(nft_freep) struct nft *nft = open_nft(NULL);
	_cleanup_free_ char *text = NULL;

	apply(nft, golden_filter, true);
	text = list_table();
	golden_check("nft-table.golden", text);
}

/* What nft(8) prints it must read as the same table. */
static void test_round_trip(void **state)
{
	_cleanup_(nft_freep) struct nft *nft = open_nft(NULL);
	_cleanup_free_ char *before = NULL, *after = NULL;

	apply(nft, golden_filter, true);
	run("nft list table inet peergate | nft -c -f - 2>&1");
	before = list_table();
	run("nft list table inet peergate >list.tmp && nft flush ruleset && nft -f list.tmp 2>&1 &&"
	    " rm list.tmp");
	after = list_table();
	assert_string_equal(before, after);
}

static void test_restart_changes_nothing(void **state)
{
	static const char *const filters[] = { "", golden_filter };

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		_cleanup_(nft_freep) struct nft *first = open_nft(NULL), *second = NULL;

		apply(first, filters[i], true);
		first = nft_free(first);
		second = open_nft(NULL);
		assert_changes(apply(second, filters[i], true), 0, 0, 0);
	}
}

/* The table with one element in a line, in an order that does not depend on its history. */
static char *list_sorted(void)
{
	return output_of("nft -s list table inet peergate | sed 's/elements = {//; s/[ }]*$//; "
			 "s/, */\\n/g' | sed 's/^[[:space:]]*//' | sort");
}

/* Differences between any two of these are made by elements, forth and back, with and without
 * memory. */
static void test_elements(void **state)
{
	static const char *const filters[] = {
		"",
		golden_filter,
		RULE(LAPTOP, "100.64.0.1", "22, 22", ", \"origin\": \"acls[0] line 14\""),
		RULE(LAPTOP, "100.64.0.1", "22, 22", ", \"origin\": \"acls[0] line 15\""),
		RULE(LAPTOP ", " DESKTOP, "100.64.0.1", "22, 23", ", \"proto\": [6]"),
		RULE(LAPTOP ", " DESKTOP, "100.64.0.1", "23, 24", ", \"proto\": [6]"),
		RULE("\"0.0.0.0/0\"", "100.64.0.1", "0, 65535", ""),
		RULE("\"10.1.0.0/17\"", "100.64.0.1", "0, 65535",
		     "") "," RULE("\"10.1.128.0/17\"", "100.64.0.1", "0, 65534", ""),
		RULE("\"10.1.64.0/18\"", "100.64.0.1", "0, 65535",
		     "") "," RULE("\"10.1.0.0/16\"", "100.64.0.1", "0, 1", ""),
	};
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(nft_freep) struct nft *remembers = NULL, *forgets = open_nft(NULL);
	char *fresh[ARRAY_SIZE(filters)];

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		run("nft flush ruleset");
		apply(forgets, filters[i], true);
		fresh[i] = list_sorted();
	}
	assert_int_equal(sd_event_new(&event), 0);
	remembers = open_nft(event);
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
		for (size_t j = 0; j < ARRAY_SIZE(filters); j++) {
			_cleanup_free_ char *text = NULL;
			struct nft *nft = (i + j) % 2 ? remembers : forgets;

			apply(nft, filters[i], true);
			assert_int_equal(apply(nft, filters[j], true).full_replacements, 0);
			text = list_sorted();
			assert_string_equal(text, fresh[j]);
		}
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
		free(fresh[i]);
}

static void test_one_peer(void **state)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(nft_freep) struct nft *nft = NULL;

	assert_int_equal(sd_event_new(&event), 0);
	nft = open_nft(event);
	assert_changes(apply(nft, RULE(LAPTOP, "100.64.0.1", "22, 22", ", \"proto\": [6]"), true),
		       1, 4, 0);
	assert_changes(apply(nft,
			     RULE(LAPTOP ", " DESKTOP, "100.64.0.1", "22, 22", ", \"proto\": [6]"),
			     true),
		       0, 1, 0);
	assert_changes(apply(nft, RULE(DESKTOP, "100.64.0.1", "22, 22", ", \"proto\": [6]"), true),
		       0, 0, 1);
	assert_changes(apply(nft, "", true), 0, 0, 2);
}

static void test_ssh_switch(void **state)
{
	_cleanup_(nft_freep) struct nft *nft = open_nft(NULL);
	_cleanup_free_ char *on = NULL, *off = NULL;

	assert_int_equal(apply(nft, golden_filter, true).full_replacements, 1);
	assert_int_equal(apply(nft, golden_filter, false).full_replacements, 1);
	off = list_table();
	assert_null(strstr(off, "tproxy"));
	assert_int_equal(apply(nft, golden_filter, true).full_replacements, 1);
	on = list_table();
	assert_non_null(strstr(on, "tproxy"));
}

struct foreign {
	int n;
	char what[160];
};

static void note_foreign(void *userdata, const char *what)
{
	struct foreign *foreign = userdata;

	foreign->n++;
	snprintf(foreign->what, sizeof(foreign->what), "%s", what);
}

#define DELETED " was deleted by nft (pid "
#define CHANGED " was changed by nft (pid "

static const struct foreign_case {
	const char *command, *what; /* NULL: none of our business */
	unsigned full, added, removed;
} foreign_cases[] = {
	{ "nft flush ruleset", DELETED, 1, 0, 0 },
	{ "nft delete table inet peergate", DELETED, 1, 0, 0 },
	{ "nft add chain inet peergate other", CHANGED, 1, 0, 0 },
	{ "nft flush chain inet peergate output", CHANGED, 1, 0, 0 },
	{ "nft flush chain inet peergate acl_0", CHANGED, 1, 0, 0 },
	{ "nft add rule inet peergate acl_0 accept", CHANGED, 1, 0, 0 },
	{ "nft flush chain inet peergate acl_2 && "
	  "nft add rule inet peergate acl_2 accept comment '\"acl:2 acls[1] line 20\"'",
	  CHANGED, 1, 0, 0 },
	{ "nft insert rule inet peergate input accept", CHANGED, 1, 0, 0 },
	{ "nft add table inet peergate '{ flags dormant; }'", CHANGED, 1, 0, 0 },
	{ "nft add set inet peergate x '{ type mark; }'", CHANGED, 1, 0, 0 },
	{ "nft delete element inet peergate src4 '{ 100.64.0.2 }'", CHANGED, 0, 1, 0 },
	{ "nft add element inet peergate src4 '{ 100.64.0.77 : 1 }'", CHANGED, 0, 0, 1 },
	{ "nft add element inet peergate net4 '{ 192.0.2.0/24 : 1 }'", CHANGED, 0, 0, 1 },
	{ "nft add element inet peergate own4 '{ 192.0.2.1 }'", CHANGED, 0, 0, 1 },
	{ "nft add element inet peergate acl4 '{ 7 . 100.64.0.1 . tcp . 1-3 : accept }'", CHANGED,
	  1, 0, 0 },
	{ "nft add element inet peergate acl4 '{ 7 . 100.64.0.1 . tcp . 1-3 : goto acl_0 "
	  "}'",
	  CHANGED, 0, 0, 1 },
	/* A single port among the ranges: not where we would look for it. */
	{ "nft add element inet peergate acl4 '{ 7 . 100.64.0.1 . tcp . 1 : goto acl_0 }'", CHANGED,
	  1, 0, 0 },
	{ "nft add element inet peergate port4 '{ 7 . 100.64.0.1 . tcp . 1 : accept }'", CHANGED, 1,
	  0, 0 },
	{ "nft add element inet peergate port4 '{ 7 . 100.64.0.1 . tcp . 1 : goto acl_0 }'",
	  CHANGED, 0, 0, 1 },
	{ "nft add table ip other", NULL, 0, 0, 0 },
	{ "nft add table ip peergate && nft delete table ip peergate", NULL, 0, 0, 0 },
};

static void settle(sd_event *event)
{
	while (sd_event_run(event, 0) > 0)
		;
}

static void check_foreign(const struct foreign_case *c, sd_event *event, struct nft *nft,
			  struct foreign *foreign)
{
	struct nft_changes changes;

	*foreign = (struct foreign){ 0 };
	settle(event);
	assert_int_equal(foreign->n, 0);
	run(c->command);
	settle(event);
	if ((foreign->n > 0) != (c->what != NULL))
		fail_msg("%s: told of %d changes", c->command, foreign->n);
	if (c->what)
		assert_non_null(strstr(foreign->what, c->what));
	changes = apply(nft, golden_filter, true);
	if (c->full)
		assert_int_equal(changes.full_replacements, 1);
	else
		assert_changes(changes, 0, c->added, c->removed);
}

/* What others do to the table is noticed, and undone with what it takes. */
static void test_foreign_changes(void **state)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(nft_freep) struct nft *nft = NULL;
	_cleanup_free_ char *text = NULL;
	struct foreign foreign = { 0 };

	assert_int_equal(sd_event_new(&event), 0);
	nft = open_nft(event);
	nft_on_foreign_change(nft, note_foreign, &foreign);
	apply(nft, golden_filter, true);
	text = list_sorted();
	for (size_t i = 0; i < ARRAY_SIZE(foreign_cases); i++) {
		_cleanup_free_ char *after = NULL;

		check_foreign(&foreign_cases[i], event, nft, &foreign);
		after = list_sorted();
		assert_string_equal(after, text);
	}
}

/* A change that the event loop has not told of yet must not make an apply fail. */
static void test_unnoticed_change(void **state)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(nft_freep) struct nft *nft = NULL;

	assert_int_equal(sd_event_new(&event), 0);
	nft = open_nft(event);
	apply(nft, golden_filter, true);
	run("nft flush ruleset");
	assert_int_equal(apply(nft, "", true).full_replacements, 1);
}

static bool can_own(void)
{
	_cleanup_(nlsock_freep) struct nlsock *sock = NULL;
	_cleanup_free_ char *error = NULL;
	bool can = false;

	assert_int_equal(nlsock_open(NETLINK_NETFILTER, &sock), 0);
	if (nft_owner_probe(sock, &can, &error) < 0)
		fail_msg("%s", error);
	return can;
}

/* The question whether the kernel can leaves nothing behind, and nobody hears of it. */
static void test_probe(void **state)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(nft_freep) struct nft *nft = NULL;

	assert_int_equal(sd_event_new(&event), 0);
	nft = open_nft(event);
	run("nft monitor >monitor.tmp & echo $! >pid.tmp; sleep 0.3");
	can_own();
	run("sleep 0.1; kill $(cat pid.tmp); ! grep . monitor.tmp; rm -f monitor.tmp pid.tmp");
	assert_output("nft list ruleset", "");
}

/* While we run others cannot touch the table; "flush ruleset" leaves it. After us they can. */
static void test_owned(void **state)
{
	static const char *const vain[] = {
		"! nft delete table inet peergate 2>/dev/null",
		"! nft flush chain inet peergate input 2>/dev/null",
		"! nft add element inet peergate src4 '{ 100.64.0.77 : 1 }' 2>/dev/null",
		"nft flush ruleset",
	};
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(nft_freep) struct nft *nft = NULL;
	_cleanup_free_ char *text = NULL;
	struct foreign foreign = { 0 };

	if (!can_own())
		skip();
	assert_int_equal(sd_event_new(&event), 0);
	nft = open_as(event, true);
	nft_on_foreign_change(nft, note_foreign, &foreign);
	assert_int_equal(apply(nft, golden_filter, true).full_replacements, 1);
	text = list_sorted();
	assert_non_null(strstr(text, "flags owner"));
	for (size_t i = 0; i < ARRAY_SIZE(vain); i++) {
		_cleanup_free_ char *after = NULL;

		run(vain[i]);
		after = list_sorted();
		assert_string_equal(after, text);
	}
	while (sd_event_run(event, 0) > 0)
		;
	assert_int_equal(foreign.n, 0);
	assert_int_equal(apply(nft, "", true).full_replacements, 0);
	nft = nft_free(nft);
	run("nft list table inet peergate >/dev/null");
	run("nft delete table inet peergate");
}

/* The next run of ours adopts what the last one left, whatever that was. */
static void test_owner_follows_owner(void **state)
{
	static const struct {
		const char *meanwhile;
		unsigned full, added, removed;
	} cases[] = {
		{ "true", 0, 0, 0 },
		{ "nft delete element inet peergate src4 '{ 100.64.0.2 }'", 0, 1, 0 },
		{ "nft flush chain inet peergate input", 1, 0, 0 },
		{ "nft flush ruleset", 1, 0, 0 },
		/* Of an older agent, or loaded from a file: it could not be adopted. */
		{ "nft -s list table inet peergate | sed '/flags *$/d' >list.tmp && "
		  "nft flush ruleset && nft -f list.tmp && rm list.tmp",
		  1, 0, 0 },
	};

	if (!can_own())
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(nft_freep) struct nft *first = open_as(NULL, true), *second = NULL;
		struct nft_changes changes;

		apply(first, golden_filter, true);
		first = nft_free(first);
		run(cases[i].meanwhile);
		second = open_as(NULL, true);
		changes = apply(second, golden_filter, true);
		if (cases[i].full)
			assert_int_equal(changes.full_replacements, 1);
		else
			assert_changes(changes, 0, cases[i].added, cases[i].removed);
		run("! nft delete table inet peergate 2>/dev/null");
	}
}

static void test_owned_by_another(void **state)
{
	_cleanup_(nft_freep) struct nft *first = open_as(NULL, true), *second = open_as(NULL, true);
	_cleanup_(filter_table_freep) struct filter_table *old = NULL;
	_cleanup_free_ char *error = NULL;
	struct nft_changes changes;

	if (!can_own())
		skip();
	apply(first, golden_filter, true);
	assert_int_equal(nft_apply(second, compile(""), true, &changes, &old, &error), -EEXIST);
	assert_non_null(strstr(error, "table inet peergate is owned by another program"));
	assert_true(nft_in_force(second));
	first = nft_free(first);
	assert_int_equal(apply(second, golden_filter, true).full_replacements, 0);
}

/* Each dropping rule gets one before it that logs samples; nothing else is touched. */
static void test_drops_logged(void **state)
{
	_cleanup_(nft_freep) struct nft *nft = open_nft(NULL), *again = NULL;
	_cleanup_free_ char *before = NULL, *logged = NULL, *after = NULL, *counter = NULL;

	apply(nft, golden_filter, true);
	run("nft 'add rule inet peergate acl_0 counter' && nft 'flush chain inet peergate acl_0' &&"
	    " nft 'add rule inet peergate acl_0 counter packets 7 bytes 70 meta mark set 0x0 "
	    "accept "
	    "comment \"acl:0 acls[0] line 14\"'");
	before = list_table();
	nft_log_drops(nft, true);
	assert_changes(apply(nft, golden_filter, true), 0, 0, 0);
	logged = list_table();
	run("nft list table inet peergate | nft -c -f - 2>&1");
	counter = output_of("nft -p list table inet peergate | grep -B1 ' drop comment' | "
			    "grep -c 'limit rate 10/second burst 10 packets log prefix .* group "
			    "5182 snaplen 128'");
	after = output_of("nft list table inet peergate | grep -c ' drop comment'");
	assert_string_equal(counter, after);
	assert_int_not_equal(atoi(after), 0);
	assert_non_null(strstr(logged, "counter packets 7 bytes 70"));
	assert_true(nft_in_force(nft));

	/* Whoever finds it so needs not do anything, or takes it away again. */
	again = open_nft(NULL);
	nft_log_drops(again, true);
	assert_changes(apply(again, golden_filter, true), 0, 0, 0);
	nft_log_drops(again, false);
	assert_true(nft_in_force(again));
	assert_changes(apply(again, "", true), 0, 0, 24);
	assert_changes(apply(again, golden_filter, true), 0, 24, 0);
	free(after);
	after = output_of("nft list table inet peergate | grep -c ' log '; true");
	assert_string_equal(after, "0\n");
	assert_true(nft_in_force(again));
}

static void test_remove(void **state)
{
	_cleanup_(nft_freep) struct nft *nft = open_nft(NULL);
	_cleanup_free_ char *error = NULL, *text = NULL;

	assert_int_equal(nft_remove(nft, &error), 0);
	apply(nft, golden_filter, true);
	assert_int_equal(nft_remove(nft, &error), 0);
	text = output_of("nft list ruleset");
	assert_string_equal(text, "");
}

static struct nft_changes apply_table(struct nft *nft, struct filter_table *table)
{
	_cleanup_(filter_table_freep) struct filter_table *old = NULL;
	_cleanup_free_ char *error = NULL;
	struct nft_changes changes;

	if (nft_apply(nft, table, false, &changes, &old, &error) < 0)
		fail_msg("%s", error);
	return changes;
}

/* An interval that reaches to the last address has no end in the kernel; neighbours share an edge.
 */
static void test_interval_edges(void **state)
{
	static const struct ip_addr edges[][2] = {
		{ { AF_INET, { 240 } }, { AF_INET, { 240, 255, 255, 255 } } },
		{ { AF_INET, { 241 } }, { AF_INET, { 255, 255, 255, 255 } } },
		{ { AF_INET6, { 0 } }, { AF_INET6, { [15] = 9 } } },
	};
	_cleanup_(nft_freep) struct nft *nft = open_nft(NULL);

	for (int i = 0; i < 2; i++) {
		struct filter_table *table = filter_table_new();
		_cleanup_free_ char *text = NULL;

		table->nets = calloc(ARRAY_SIZE(edges), sizeof(*table->nets));
		for (uint32_t j = 0; j < ARRAY_SIZE(edges); j++)
			table->nets[table->n_nets++] =
				(struct filter_source){ edges[j][0], edges[j][1], j + 1,
							strdup("x") };
		assert_changes(apply_table(nft, table), i == 0, i == 0 ? 3 : 0, 0);
		text = output_of("nft list map inet peergate net4");
		assert_non_null(strstr(text, "241.0.0.0-255.255.255.255 comment"));
		run("nft list table inet peergate | nft -c -f - 2>&1");
	}
	assert_changes(apply(nft, "", false), 0, 2, 3);
}

static struct filter_table *make_large(uint32_t n_sources, uint32_t n_flows)
{
	struct filter_table *table = filter_table_new();

	table->exact = calloc(n_sources, sizeof(*table->exact));
	table->flows = calloc(n_flows, sizeof(*table->flows));
	table->counters = calloc(1, sizeof(*table->counters));
	table->counters[table->n_counters++].comment = strdup("acl:0");
	for (uint32_t i = 0; i < n_sources; i++) {
		struct ip_addr addr = { AF_INET6, { 0xfd, [14] = (uint8_t)(i >> 8), (uint8_t)i } };

		table->exact[table->n_exact++] =
			(struct filter_source){ addr, addr, i, text_printf("%0120u", i) };
		if (i < n_flows)
			table->flows[table->n_flows++] =
				(struct filter_flow){ i, addr, addr, 6, { 0, 65535 }, 0 };
	}
	filter_table_sort(table);
	return table;
}

/* Many peers and rules: messages are split, and read back whole. */
static void test_large(void **state)
{
	_cleanup_(nft_freep) struct nft *nft = open_nft(NULL);

	assert_changes(apply_table(nft, make_large(10000, 1000)), 1, 11000, 0);
	assert_changes(apply_table(nft, make_large(10000, 1000)), 0, 0, 0);
	assert_changes(apply_table(nft, make_large(9000, 990)), 0, 0, 1010);
	/* Taking many ranges out one by one would need seconds. */
	assert_changes(apply_table(nft, make_large(100, 1)), 1, 101, 0);
}

static uint64_t best_of_five(struct nft *nft)
{
	uint64_t best = UINT64_MAX;

	for (uint32_t i = 0; i < 5; i++) {
		struct filter_table *table = make_large(10001 + i % 2, 10);
		uint64_t began = clock_usec(CLOCK_MONOTONIC), took;

		apply_table(nft, table);
		took = clock_usec(CLOCK_MONOTONIC) - began;
		if (took < best)
			best = took;
	}
	return best;
}

/* One peer more or less among 10,000 is a matter of one element: what is there is not read again.
 */
static void test_one_of_many(void **state)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(nft_freep) struct nft *remembers = NULL, *forgets = open_nft(NULL);
	uint64_t with_memory, without;

	assert_int_equal(sd_event_new(&event), 0);
	remembers = open_nft(event);
	apply_table(remembers, make_large(10000, 10));
	assert_changes(apply_table(remembers, make_large(10001, 10)), 0, 1, 0);
	assert_changes(apply_table(remembers, make_large(10000, 10)), 0, 0, 1);
	with_memory = best_of_five(remembers);
	without = best_of_five(forgets);
	print_message("one peer of 10,000: %.1f ms; with a look at all: %.1f ms\n",
		      (double)with_memory / 1000, (double)without / 1000);
	assert_true(2 * with_memory < without);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_golden, setup),
		cmocka_unit_test_setup(test_round_trip, setup),
		cmocka_unit_test_setup(test_restart_changes_nothing, setup),
		cmocka_unit_test_setup(test_elements, setup),
		cmocka_unit_test_setup(test_one_peer, setup),
		cmocka_unit_test_setup(test_ssh_switch, setup),
		cmocka_unit_test_setup(test_foreign_changes, setup),
		cmocka_unit_test_setup(test_unnoticed_change, setup),
		cmocka_unit_test_setup(test_probe, setup),
		cmocka_unit_test_setup(test_owned, setup),
		cmocka_unit_test_setup(test_owner_follows_owner, setup),
		cmocka_unit_test_setup(test_owned_by_another, setup),
		cmocka_unit_test_setup(test_drops_logged, setup),
		cmocka_unit_test_setup(test_remove, setup),
		cmocka_unit_test_setup(test_interval_edges, setup),
		cmocka_unit_test_setup(test_large, setup),
		cmocka_unit_test_setup(test_one_of_many, setup),
	};

	if (!netns_enter())
		return NETNS_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
