/* The small parts of the policy compiler. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "coord/policy/access.h"
#include "coord/policy/bits.h"
#include "coord/policy/duration.h"
#include "coord/policy/hujson.h"
#include "coord/policy/ports.h"
#include "coord/policy/range.h"
#include "coord/policy/stab.h"
#include "coord/policy/strmap.h"
#include "coord/policy/text.h"

static unsigned draw(unsigned *state, unsigned below)
{
	*state = *state * 1103515245u + 12345u;
	return (*state >> 8) % below;
}

static void test_range_text(void **state)
{
	static const struct {
		const char *text;
		int result;
		const char *again;
	} cases[] = {
		{ "100.64.0.1", 0, "100.64.0.1" },
		{ "100.64.0.1/32", 0, "100.64.0.1" },
		{ "10.0.0.0/8", 0, "10.0.0.0/8" },
		{ "0.0.0.0/0", 0, "0.0.0.0/0" },
		{ "::/0", 0, "::/0" },
		{ "fd7a::1", 0, "fd7a::1" },
		{ "fd7a::/48", 0, "fd7a::/48" },
		{ "10.0.0.0-10.0.0.255", 0, "10.0.0.0/24" },
		{ "10.0.0.1-10.0.0.2", 0, "10.0.0.1-10.0.0.2" },
		{ "10.0.0.1-10.0.0.1", 0, "10.0.0.1" },
		{ "fd7a::1-fd7a::3", 0, "fd7a::1-fd7a::3" },
		{ "10.0.0.7/8", RANGE_HOST_BITS, "10.0.0.0/8" },
		{ "fd7a::7/64", RANGE_HOST_BITS, "fd7a::/64" },
		{ "10.0.0.2-10.0.0.1", -EINVAL, NULL },
		{ "10.0.0.1-fd7a::1", -EINVAL, NULL },
		{ "10.0.0.1-", -EINVAL, NULL },
		{ "-10.0.0.1", -EINVAL, NULL },
		{ "10.0.0.1/33", -EINVAL, NULL },
		{ "10.0.0.1/", -EINVAL, NULL },
		{ "10.0.0.1/08", -EINVAL, NULL },
		{ "10.0.0.1/8x", -EINVAL, NULL },
		{ "10.0.0", -EINVAL, NULL },
		{ "::ffff:10.0.0.1", -EINVAL, NULL },
		{ "", -EINVAL, NULL },
		{ "web", -EINVAL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char buf[RANGE_STRLEN];
		struct range r;

		if (range_parse(cases[i].text, &r) != cases[i].result)
			fail_msg("%s", cases[i].text);
		if (cases[i].again)
			assert_string_equal(range_to_string(&r, buf), cases[i].again);
	}
}

/* Sets against arrays of bool: 64 addresses in the middle of each family. */
#define UNIVERSE 64u

struct model {
	bool in[2][UNIVERSE];
};

static struct range draw_range(unsigned *state)
{
	unsigned first = draw(state, UNIVERSE), len = draw(state, 12);
	unsigned last = first + len < UNIVERSE ? first + len : UNIVERSE - 1;

	return (struct range){ .first = first, .last = last, .v6 = draw(state, 2) != 0 };
}

static void model_set(struct model *m, const struct range *r, bool in)
{
	for (unsigned i = (unsigned)r->first; i <= (unsigned)r->last; i++)
		m->in[r->v6][i] = in;
}

static void compare_model(const struct range_set *set, const struct model *m)
{
	for (unsigned v6 = 0; v6 < 2; v6++)
		for (unsigned i = 0; i < UNIVERSE; i++) {
			struct range one = { .first = i, .last = i, .v6 = v6 };

			assert_int_equal(range_set_contains(set, &one), m->in[v6][i]);
			assert_int_equal(range_set_overlaps(set, &one), m->in[v6][i]);
		}
	for (size_t i = 1; i < set->n; i++) {
		const struct range *a = &set->items[i - 1], *b = &set->items[i];

		assert_true(a->v6 < b->v6 || (a->v6 == b->v6 && a->last + 1 < b->first));
	}
}

static void test_range_sets(void **state)
{
	unsigned seed = 7;

	for (unsigned round = 0; round < 200; round++) {
		struct range_set set = { 0 };
		struct model m = { 0 };

		for (unsigned i = 0; i < 20; i++) {
			struct range r = draw_range(&seed);
			bool add = draw(&seed, 3) != 0;

			assert_int_equal(add ? range_set_add(&set, &r) : range_set_remove(&set, &r),
					 0);
			model_set(&m, &r, add);
			compare_model(&set, &m);
		}
		range_set_done(&set);
	}
}

/* The ends of the line do not wrap around. */
static void test_range_ends(void **state)
{
	struct range all6 = range_all(true), all4 = range_all(false), one = all6;
	struct range_set set = { 0 };
	char buf[RANGE_STRLEN];

	assert_int_equal(range_set_add(&set, &all6), 0);
	assert_int_equal(range_set_add(&set, &all4), 0);
	assert_int_equal(set.n, 2);
	one.first = one.last;
	assert_int_equal(range_set_remove(&set, &one), 0);
	assert_int_equal(set.n, 2);
	assert_string_equal(range_to_string(&set.items[1], buf),
			    "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
	one = (struct range){ .v6 = false };
	assert_int_equal(range_set_remove(&set, &one), 0);
	assert_string_equal(range_to_string(&set.items[0], buf), "0.0.0.1-255.255.255.255");
	range_set_done(&set);
}

struct hits {
	bool seen[256];
};

static int note_hit(uint32_t value, void *userdata)
{
	struct hits *hits = userdata;

	assert_false(hits->seen[value]);
	hits->seen[value] = true;
	return 0;
}

static void test_stab(void **state)
{
	unsigned seed = 3;

	for (unsigned round = 0; round < 100; round++) {
		unsigned n = draw(&seed, 100);
		struct range ranges[100];
		struct stab stab = { 0 };

		for (unsigned i = 0; i < n; i++) {
			ranges[i] = draw_range(&seed);
			assert_int_equal(stab_add(&stab, &ranges[i], i), 0);
		}
		stab_finish(&stab);
		for (unsigned i = 0; i < 50; i++) {
			struct range r = draw_range(&seed);
			struct hits hits = { 0 };

			assert_int_equal(stab_query(&stab, &r, note_hit, &hits), 0);
			for (unsigned k = 0; k < n; k++)
				assert_int_equal(hits.seen[k], range_overlaps(&ranges[k], &r));
		}
		stab_done(&stab);
	}
}

static void test_strmap(void **state)
{
	char keys[300][8];
	bool there[300] = { false };
	struct strmap map = { 0 };
	unsigned seed = 11;

	assert_int_equal(strmap_get(&map, "a"), STRMAP_NONE);
	strmap_remove(&map, "a");
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
		snprintf(keys[i], sizeof(keys[i]), "k%u", i);
	for (unsigned i = 0; i < 5000; i++) {
		unsigned k = draw(&seed, ARRAY_SIZE(keys));

		there[k] = draw(&seed, 2) != 0;
		if (there[k])
			assert_int_equal(strmap_set(&map, keys[k], k), 0);
		else
			strmap_remove(&map, keys[k]);
		if (i % 50)
			continue;
		for (unsigned j = 0; j < ARRAY_SIZE(keys); j++)
			assert_int_equal(strmap_get(&map, keys[j]), there[j] ? j : STRMAP_NONE);
	}
	strmap_done(&map);
}

static void test_bits(void **state)
{
	struct bit_matrix m = { 0 };

	assert_int_equal(bit_matrix_resize(&m, 3, 1), 0);
	bit_set(&m, 0, 0);
	bit_set(&m, 1, 63);
	bit_set(&m, 2, 5);
	assert_int_equal(bit_matrix_resize(&m, 5, 3), 0);
	for (size_t row = 0; row < 5; row++)
		for (size_t column = 0; column < 192; column++)
			assert_int_equal(bit_get(&m, row, column),
					 (row == 0 && column == 0) || (row == 1 && column == 63) ||
						 (row == 2 && column == 5));
	bit_set(&m, 4, 191);
	bits_or(bit_row(&m, 0), bit_row(&m, 4), 3);
	assert_true(bit_get(&m, 0, 0) && bit_get(&m, 0, 191));
	bit_clear(&m, 0, 0);
	assert_false(bit_get(&m, 0, 0));
	bit_matrix_done(&m);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		int result;
		int64_t seconds;
	} cases[] = {
		{ "0", 0, 0 },
		{ "0s", 0, 0 },
		{ "90s", 0, 90 },
		{ "1m", 0, 60 },
		{ "1h30m", 0, 5400 },
		{ "1.5h", 0, 5400 },
		{ "168h0m1s", 0, 604801 },
		{ "-1m", 0, -60 },
		{ "+1m", 0, 60 },
		{ "1000ms", 0, 1 },
		{ "1000000\u00b5s", 0, 1 },
		{ ".5h", 0, 1800 },
		{ "", -EINVAL, 0 },
		{ "-", -EINVAL, 0 },
		{ "abc", -EINVAL, 0 },
		{ "1", -EINVAL, 0 },
		{ "1d", -EINVAL, 0 },
		{ "h", -EINVAL, 0 },
		{ "1h ", -EINVAL, 0 },
		{ ".h", -EINVAL, 0 },
		{ "99999999999999999999h", -EINVAL, 0 },
		{ "999999999999h", -ERANGE, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t usec = 0;

		if (duration_parse(cases[i].text, &usec) != cases[i].result)
			fail_msg("%s", cases[i].text);
		assert_int_equal(usec, cases[i].seconds * 1000000);
	}
}

static void test_protocols(void **state)
{
	static const struct {
		const char *text;
		int proto; /* negative: refused */
	} cases[] = {
		{ "tcp", 6 },	 { "TCP", 6 }, { "udp", 17 },  { "icmp", 1 }, { "ipv6-icmp", 58 },
		{ "sctp", 132 }, { "47", 47 }, { "255", 255 }, { "256", -1 }, { "0", -1 },
		{ "06", -1 },	 { "", -1 },   { "*", -1 },    { "ssh", -1 }, { "-1", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t proto = 0;
		int r = policy_protocol_parse(cases[i].text, &proto);

		if ((r < 0) != (cases[i].proto < 0) || (r == 0 && proto != cases[i].proto))
			fail_msg("%s", cases[i].text);
	}
}

static void test_json_strings(void **state)
{
	static const struct {
		const char *text, *json;
	} cases[] = {
		{ "", "\"\"" },
		{ "plain", "\"plain\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "\x01\n\x7f", "\"\\u0001\\u000a\\u007f\"" },
		{ "\xc3\xa4", "\"\xc3\xa4\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(policy_text_done) struct policy_text out = { 0 };

		policy_text_string(&out, cases[i].text);
		assert_string_equal(out.data, cases[i].json);
	}
}

/* --- access sets */

static void add_access(struct access *a, uint8_t proto, const char *ports)
{
	struct net_rule rule = { .protos = &proto, .n_protos = proto ? 1 : 0 };
	struct ports items[8];
	struct port_list list = { .items = items };

	for (const char *p = ports; *p;) {
		unsigned first, last, len;

		assert_int_equal(sscanf(p, "%u-%u%n", &first, &last, &len), 2);
		items[list.n++] = (struct ports){ (uint16_t)first, (uint16_t)last };
		p += len + (p[len] == ',');
	}
	assert_int_equal(access_add(a, &rule, &list), 0);
	access_normalize(a);
}

static void test_access(void **state)
{
	static const struct {
		uint8_t a_proto;
		const char *a;
		uint8_t b_proto;
		const char *b, *rest;
	} cases[] = {
		{ 0, "0-65535", 6, "", "everything" },
		{ 6, "22-22", 6, "", "tcp 22" },
		{ 6, "22-22,80-443", 6, "100-200", "tcp 22 80-99 201-443" },
		{ 6, "22-22", 6, "22-22", "" },
		{ 6, "22-22", 17, "22-22", "tcp 22" },
		{ 0, "22-22", 17, "22-22", "tcp 22" },
		{ 0, "22-22", 1, "0-65535", "tcp+udp 22" },
		{ 0, "0-65535", 6, "0-65535", "icmp+udp+ipv6-icmp" },
		{ 0, "0-65535", 6, "22-22", "icmp+udp+ipv6-icmp, tcp 0-21 23-65535" },
		{ 6, "1-2,3-4", 6, "", "tcp 1-4" },
		{ 6, "0-65535", 6, "65535-65535", "tcp 0-65534" },
		{ 200, "0-65535", 6, "", "protocol 200" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(policy_text_done) struct policy_text text = { 0 };
		struct access a = { 0 }, b = { 0 }, rest = { 0 };

		add_access(&a, cases[i].a_proto, cases[i].a);
		add_access(&b, cases[i].b_proto, cases[i].b);
		assert_int_equal(access_subtract(&a, &b, &rest), 0);
		access_to_text(&rest, &text);
		assert_string_equal(text.data ? text.data : "", cases[i].rest);
		access_done(&a);
		access_done(&b);
		access_done(&rest);
	}
}

/* --- places */

static void add_places(const struct hujson_value *v, struct policy_text *out)
{
	if (v->key)
		policy_text_printf(out, "%s@%u:%u ", v->key, v->key_at.line, v->key_at.column);
	policy_text_printf(out, "%c@%u:%u ", "oasnntfz"[json_typeof(v->json)], v -> at.line,
			   v->at.column);
	for (size_t i = 0; i < v->n_items; i++)
		add_places(&v->items[i], out);
}

static void test_places(void **state)
{
	static const struct hujson_limits limits = { 1000, 100, 5 };
	static const struct {
		const char *text, *places;
	} cases[] = {
		{ "{}", "o@1:1 " },
		{ " \n [ ] ", "a@2:2 " },
		{ "// x\n{/**/\"a\" /*,*/ : 1, /* \"b\":2, */ }", "o@2:1 a@2:6 n@2:18 " },
		{ "[1,\n\"\xc3\xa4\\\"]\", {\"k\": [true, null,],},\n]",
		  "a@1:1 n@1:2 s@2:1 o@2:9 k@2:10 a@2:15 t@2:16 z@2:22 " },
		{ "[[],[[]],{}]", "a@1:1 a@1:2 a@1:5 a@1:6 o@1:10 " },
		{ "[\"//\",\"/*\",\"*/\"]//", "a@1:1 s@1:2 s@1:7 s@1:12 " },
		{ "{\"a\":{\"b\":[{\"c\":1.5}]},\"d\":-1}",
		  "o@1:1 a@1:2 o@1:6 b@1:7 a@1:11 o@1:12 c@1:13 n@1:17 d@1:24 n@1:28 " },
		{ "[/* \xc3\xa4 */ 1]", "a@1:1 n@1:10 " },
		{ "[1 /* a\nb */, 2]", "a@1:1 n@1:2 n@2:7 " },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
		_cleanup_(policy_text_done) struct policy_text out = { 0 };
		_cleanup_(hujson_freep) struct hujson *doc = NULL;
		int r = hujson_parse(cases[i].text, strlen(cases[i].text), &limits, &problems,
				     &doc);

		if (r < 0)
			fail_msg("%s: %s", cases[i].text, problems.items[0].text);
		add_places(&doc->values[0], &out);
		assert_string_equal(out.data, cases[i].places);
	}
}

static void test_not_hujson(void **state)
{
	static const struct hujson_limits limits = { 1000, 100, 5 };
	static const char *const cases[] = {
		"",
		"[,]",
		"[1,,]",
		"{,}",
		"[1,,2]",
		"{\"a\":1,,}",
		"[1],",
		",[1]",
		"[1/]",
		"/",
		"/*",
		"/*/",
		"\"",
		"\"\\",
		"[\"a\n\"]",
		"{\"a\",}",
		"{\"a\":,}",
		"{\"a\":1 \"b\":2}",
		"[[[[[[]]]]]]",
		"[1]]",
		"[1}",
		"nul",
		"{\"a\":1,\"\\u0061\":2}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
		struct hujson *doc = NULL;

		if (hujson_parse(cases[i], strlen(cases[i]), &limits, &problems, &doc) != -EINVAL)
			fail_msg("accepted: %s", cases[i]);
		assert_null(doc);
		assert_int_equal(problems.n, 1);
		assert_true(problems.items[0].line > 0 && problems.items[0].column > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range_text),   cmocka_unit_test(test_range_sets),
		cmocka_unit_test(test_range_ends),   cmocka_unit_test(test_stab),
		cmocka_unit_test(test_strmap),	     cmocka_unit_test(test_bits),
		cmocka_unit_test(test_durations),    cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_json_strings), cmocka_unit_test(test_access),
		cmocka_unit_test(test_places),	     cmocka_unit_test(test_not_hujson),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
