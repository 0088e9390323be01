/* The nftables table without memory: a change is made whole, or not at all. Needs root. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/filter/compile.h"
#include "agent/nft/nft.h"
#include "common/log.h"
#include "tests/unit/golden.h"
#include "tests/unit/netns.h"
#include "tests/unit/nomem.h"

#define NOW UINT64_C(1800000000000000) /* 2027-01-15T08:00:00Z */

static struct netmap *map;

static const struct nft_config config = { .ifname = "mesh0", .gateway_port = 2022 };

static struct filter_table *compile(const struct netmap *of)
{
	_cleanup_free_ char *error = NULL;
	struct filter_table *table = NULL;

	assert_int_equal(filter_compile(of, NOW, &table, &error), 0);
	return table;
}

static int apply(struct nft *nft, struct filter_table *wanted)
{
	_cleanup_(filter_table_freep) struct filter_table *old = NULL;
	_cleanup_free_ char *error = NULL;
	struct nft_changes changes;

	return nft_apply(nft, wanted, true, &changes, &old, &error);
}

struct change {
	const struct netmap *from, *to; /* NULL: nothing is let in */
	char *before, *after;		/* the table, as nft(8) prints it */
};

static char *list_table(void)
{
	return output_of("nft -s list table inet peergate");
}

/* The whole of it: what is there is read, the difference is sent. */
static int change_table(void *userdata)
{
	const struct change *change = userdata;
	struct filter_table *wanted = compile(change->to);
	_cleanup_free_ char *seen = NULL;
	struct nft *nft = NULL;
	int r;

	assert_int_equal(nft_open(NULL, &config, &nft), 0);
	assert_int_equal(apply(nft, compile(change->from)), 0);
	nft_free(nft);
	nft = NULL;
	nomem_begin();
	r = nft_open(NULL, &config, &nft);
	if (r == 0)
		r = apply(nft, wanted);
	else
		filter_table_free(wanted);
	nft_free(nft);
	nomem_end();
	seen = list_table();
	assert_string_equal(seen, r == 0 ? change->after : change->before);
	/* What libnftnl has no memory for it calls a bad message. */
	return r == -EBADMSG ? -ENOMEM : r;
}

static char *table_for(const struct netmap *of)
{
	struct nft *nft = NULL;

	assert_int_equal(nft_open(NULL, &config, &nft), 0);
	assert_int_equal(apply(nft, compile(of)), 0);
	nft_free(nft);
	return list_table();
}

static void try_change(const char *what, const struct netmap *from, const struct netmap *to)
{
	struct change change = { from, to, table_for(from), table_for(to) };

	assert_string_not_equal(change.before, change.after);
	nomem_try(what, change_table, &change);
	free(change.before);
	free(change.after);
}

static void test_rights_are_given(void **state)
{
	try_change("rights given", NULL, map);
}

static void test_rights_are_taken(void **state)
{
	try_change("rights taken", map, NULL);
}

static void drop_line(void *userdata, int level, const char *text)
{
}

static int setup(void **state)
{
	_cleanup_free_ char *text = golden_read("api/map.json"), *problem = NULL;

	if (netmap_parse(text, strlen(text), "map.json", &problem, &map) < 0)
		fail_msg("%s", problem);
	log_set_sink(drop_line, NULL);
	return 0;
}

static int teardown(void **state)
{
	netmap_free(map);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rights_are_given),
		cmocka_unit_test(test_rights_are_taken),
	};

	if (!netns_enter()) {
		print_message("needs root and nft\n");
		return NETNS_SKIP;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
