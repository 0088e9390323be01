#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/ip.h"

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = { 0 };

	if (ip_addr_parse(text, &a) < 0)
		fail_msg("%s does not parse", text);
	return a;
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p = { 0 };

	if (ip_prefix_parse(text, &p) < 0)
		fail_msg("%s does not parse", text);
	return p;
}

static void test_addr_parse(void **state)
{
	static const struct {
		const char *text, *canonical; /* NULL: refused */
	} cases[] = {
		{ "100.64.0.1", "100.64.0.1" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "fd00::1", "fd00::1" },
		{ "FD00:0:0:0:0:0:0:1", "fd00::1" },
		{ "::", "::" },
		{ "::1.2.3.4", "::1.2.3.4" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		/* One host must not have two names. */
		{ "::ffff:100.64.0.1", NULL },
		{ "::ffff:6440:1", NULL },
		{ "", NULL },
		{ "100.64.0", NULL },
		{ "100.64.0.1.2", NULL },
		{ "100.64.0.256", NULL },
		{ "100.64.0.01", NULL },
		{ "0x64.64.0.1", NULL },
		{ " 100.64.0.1", NULL },
		{ "100.64.0.1 ", NULL },
		{ "100.64.0.1/32", NULL },
		{ "fe80::1%eth0", NULL },
		{ "[fd00::1]", NULL },
		{ "fd00:::1", NULL },
		{ "fd00::1::2", NULL },
		{ "1:2:3:4:5:6:7:8:9", NULL },
		{ "localhost", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ip_addr a = { .family = 77 };
		char buf[IP_ADDR_STRLEN];
		int r = ip_addr_parse(cases[i].text, &a);

		print_message("%s\n", cases[i].text);
		if (cases[i].canonical) {
			assert_int_equal(r, 0);
			assert_string_equal(ip_addr_to_string(&a, buf), cases[i].canonical);
		} else {
			assert_int_equal(r, -EINVAL);
			assert_int_equal(a.family, 77);
		}
	}
}

static void test_addr_basics(void **state)
{
	struct ip_addr v4 = addr("100.64.0.1"), v6 = addr("fd00::1"), none = { 0 };
	char buf[IP_ADDR_STRLEN];

	assert_int_equal(ip_addr_len(&v4), 4);
	assert_int_equal(ip_addr_len(&v6), 16);
	assert_int_equal(ip_addr_len(&none), 0);
	assert_int_equal(ip_addr_bits(&v4), 32);
	assert_int_equal(ip_addr_bits(&v6), 128);
	assert_string_equal(ip_addr_to_string(&none, buf), "-");
}

static void test_prefix_parse(void **state)
{
	static const struct {
		const char *text, *canonical;
	} cases[] = {
		{ "100.64.0.0/10", "100.64.0.0/10" },
		{ "0.0.0.0/0", "0.0.0.0/0" },
		{ "100.64.0.1", "100.64.0.1/32" },
		{ "100.64.0.1/32", "100.64.0.1/32" },
		{ "100.64.0.128/25", "100.64.0.128/25" },
		{ "::/0", "::/0" },
		{ "fd00::/48", "fd00::/48" },
		{ "fd00::1", "fd00::1/128" },
		{ "fd00:0:0:8000::/49", "fd00:0:0:8000::/49" },
		{ "fd00:0:0:8000::/48", NULL },
		{ "100.64.0.1/10", NULL },
		{ "100.64.0.1/31", NULL },
		{ "fd00::1/127", NULL },
		{ "100.64.0.0/33", NULL },
		{ "fd00::/129", NULL },
		{ "100.64.0.0/", NULL },
		{ "100.64.0.0/-1", NULL },
		{ "100.64.0.0/+8", NULL },
		{ "100.64.0.0/8 ", NULL },
		{ "0.0.0.0/256", NULL },
		{ "0.0.0.0/4294967296", NULL },
		{ "/8", NULL },
		{ "100.64.0.0/10/10", NULL },
		{ "::ffff:1.2.3.4/128", NULL },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/1", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ip_prefix p = { .len = 200 };
		char buf[IP_PREFIX_STRLEN];
		int r = ip_prefix_parse(cases[i].text, &p);

		print_message("%s\n", cases[i].text);
		if (cases[i].canonical) {
			assert_int_equal(r, 0);
			assert_string_equal(ip_prefix_to_string(&p, buf), cases[i].canonical);
		} else {
			assert_int_equal(r, -EINVAL);
			assert_int_equal(p.len, 200);
		}
	}
}

static void test_endpoint_parse(void **state)
{
	static const struct {
		const char *text, *canonical;
	} cases[] = {
		{ "192.0.2.7:51820", "192.0.2.7:51820" },
		{ "192.0.2.7:1", "192.0.2.7:1" },
		{ "[2001:db8::1]:65535", "[2001:db8::1]:65535" },
		{ "192.0.2.7:051820", "192.0.2.7:51820" },
		{ "192.0.2.7:0", NULL },
		{ "192.0.2.7:65536", NULL },
		{ "192.0.2.7:", NULL },
		{ "192.0.2.7", NULL },
		{ "192.0.2.7:22:22", NULL },
		{ ":22", NULL },
		{ "[2001:db8::1]", NULL },
		{ "[2001:db8::1]:", NULL },
		{ "[2001:db8::1]22", NULL },
		{ "[2001:db8::1", NULL },
		{ "2001:db8::1:22", NULL },
		{ "[192.0.2.7]:22", NULL },
		{ "[]:22", NULL },
		{ "[", NULL },
		{ "", NULL },
		{ "host:22", NULL },
		{ "[::ffff:1.2.3.4]:22", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ip_endpoint ep = { .port = 7 };
		char buf[IP_ENDPOINT_STRLEN];
		int r = ip_endpoint_parse(cases[i].text, &ep);

		print_message("%s\n", cases[i].text);
		if (cases[i].canonical) {
			assert_int_equal(r, 0);
			assert_string_equal(ip_endpoint_to_string(&ep, buf), cases[i].canonical);
		} else {
			assert_int_equal(r, -EINVAL);
			assert_int_equal(ep.port, 7);
		}
	}
}

static void test_longest_texts_fit(void **state)
{
	struct ip_endpoint ep = { .addr = addr("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"),
				  .port = 65535 };
	struct ip_prefix host = ip_prefix_host(&ep.addr);
	char endpoint[IP_ENDPOINT_STRLEN], text[IP_PREFIX_STRLEN];

	assert_string_equal(ip_endpoint_to_string(&ep, endpoint),
			    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	assert_string_equal(ip_prefix_to_string(&host, text),
			    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
}

/* The list is in ascending order. */
static void test_order(void **state)
{
	static const char *const sorted[] = { "0.0.0.0/0",     "0.0.0.0/32",	"100.64.0.0/10",
					      "100.64.0.0/32", "100.64.0.1/32", "::/0",
					      "::/128",	       "fd00::/8",	"fd00::/48" };

	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(sorted); j++) {
			struct ip_prefix a = prefix(sorted[i]), b = prefix(sorted[j]);
			int c = ip_prefix_compare(&a, &b);

			assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
		}
	}
}

static void test_equal(void **state)
{
	struct ip_endpoint a = { addr("100.64.0.1"), 22 }, b = a;
	struct ip_addr zero4 = addr("0.0.0.0"), zero6 = addr("::");

	assert_true(ip_endpoint_equal(&a, &b));
	b.port = 23;
	assert_false(ip_endpoint_equal(&a, &b));
	b = (struct ip_endpoint){ addr("100.64.0.2"), 22 };
	assert_false(ip_endpoint_equal(&a, &b));
	assert_false(ip_addr_equal(&zero4, &zero6));
	assert_true(ip_addr_equal(&zero6, &zero6));
}

static void test_special(void **state)
{
	static const struct {
		const char *text;
		bool special;
	} cases[] = {
		{ "0.0.0.0", true },
		{ "0.1.2.3", true },
		{ "127.0.0.1", true },
		{ "127.255.255.255", true },
		{ "169.254.0.1", true },
		{ "224.0.0.1", true },
		{ "239.255.255.255", true },
		{ "255.255.255.255", true },
		{ "240.0.0.1", true },
		{ "1.0.0.1", false },
		{ "126.255.255.255", false },
		{ "128.0.0.1", false },
		{ "169.253.0.1", false },
		{ "169.255.0.1", false },
		{ "223.255.255.255", false },
		{ "100.64.0.1", false },
		{ "::", true },
		{ "::1", true },
		{ "::2", false },
		{ "fe80::1", true },
		{ "febf::1", true },
		{ "fec0::1", false },
		{ "fe7f::1", false },
		{ "ff02::1", true },
		{ "fd00::1", false },
		{ "2001:db8::1", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ip_addr a = addr(cases[i].text);

		print_message("%s\n", cases[i].text);
		assert_int_equal(ip_addr_is_special(&a), cases[i].special);
	}
}

static void test_contains(void **state)
{
	static const struct {
		const char *prefix, *addr;
		bool contains;
	} cases[] = {
		{ "100.64.0.0/10", "100.64.0.0", true },
		{ "100.64.0.0/10", "100.127.255.255", true },
		{ "100.64.0.0/10", "100.128.0.0", false },
		{ "100.64.0.0/10", "100.63.255.255", false },
		{ "0.0.0.0/0", "255.255.255.255", true },
		{ "0.0.0.0/0", "::", false },
		{ "::/0", "0.0.0.0", false },
		{ "::/0", "ffff::", true },
		{ "100.64.0.1/32", "100.64.0.1", true },
		{ "100.64.0.1/32", "100.64.0.0", false },
		{ "fd00::/9", "fd7f::1", true },
		{ "fd00::/9", "fd80::1", false },
		{ "fd00::1/128", "fd00::1", true },
		{ "fd00::1/128", "fd00::", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ip_prefix p = prefix(cases[i].prefix);
		struct ip_addr a = addr(cases[i].addr);

		print_message("%s in %s\n", cases[i].addr, cases[i].prefix);
		assert_int_equal(ip_prefix_contains(&p, &a), cases[i].contains);
	}
}

static void test_overlaps(void **state)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} cases[] = {
		{ "100.64.0.0/10", "100.64.0.0/10", true },
		{ "100.64.0.0/10", "100.100.0.0/16", true },
		{ "100.64.0.0/10", "100.0.0.0/8", true },
		{ "100.64.0.0/10", "100.128.0.0/16", false },
		{ "0.0.0.0/0", "10.0.0.1/32", true },
		{ "0.0.0.0/0", "::/0", false },
		{ "fd00::/48", "fd00:0:1::/48", false },
		{ "fd00::/47", "fd00:0:1::/48", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ip_prefix a = prefix(cases[i].a), b = prefix(cases[i].b);

		print_message("%s, %s\n", cases[i].a, cases[i].b);
		assert_int_equal(ip_prefix_overlaps(&a, &b), cases[i].overlap);
		assert_int_equal(ip_prefix_overlaps(&b, &a), cases[i].overlap);
	}
}

static void test_first_and_last(void **state)
{
	static const struct {
		const char *prefix, *first, *last;
	} cases[] = {
		{ "100.64.0.0/10", "100.64.0.0", "100.127.255.255" },
		{ "0.0.0.0/0", "0.0.0.0", "255.255.255.255" },
		{ "100.64.0.7/32", "100.64.0.7", "100.64.0.7" },
		{ "100.64.0.6/31", "100.64.0.6", "100.64.0.7" },
		{ "fd00::/9", "fd00::", "fd7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ "::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ip_prefix p = prefix(cases[i].prefix);
		struct ip_addr first = ip_prefix_first(&p), last = ip_prefix_last(&p);
		struct ip_addr want_first = addr(cases[i].first), want_last = addr(cases[i].last);

		print_message("%s\n", cases[i].prefix);
		assert_true(ip_addr_equal(&first, &want_first));
		assert_true(ip_addr_equal(&last, &want_last));
	}
}

static void test_sockaddr_round_trip(void **state)
{
	static const char *const texts[] = { "100.64.0.1:22", "[fd00::1]:65535" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct ip_endpoint ep = { 0 }, again = { 0 };
		struct sockaddr_storage ss;
		socklen_t len;

		assert_int_equal(ip_endpoint_parse(texts[i], &ep), 0);
		len = ip_endpoint_to_sockaddr(&ep, &ss);
		assert_int_equal(ip_endpoint_from_sockaddr((struct sockaddr *)&ss, len, &again), 0);
		assert_true(ip_endpoint_equal(&ep, &again));
		/* One byte short is no such address. */
		assert_int_equal(ip_endpoint_from_sockaddr((struct sockaddr *)&ss, len - 1, &again),
				 -EAFNOSUPPORT);
	}
}

static void test_sockaddr_mapped(void **state)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(22) };
	struct sockaddr other = { .sa_family = AF_UNIX };
	struct ip_addr want = addr("100.64.0.1");
	struct ip_endpoint ep = { .port = 9 };

	memcpy(in6.sin6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x64\x40\0\x01", 16);
	assert_int_equal(ip_endpoint_from_sockaddr((struct sockaddr *)&in6, sizeof(in6), &ep), 0);
	assert_int_equal(ep.port, 22);
	assert_true(ip_addr_equal(&ep.addr, &want));
	ep.port = 9;
	assert_int_equal(ip_endpoint_from_sockaddr(&other, sizeof(other), &ep), -EAFNOSUPPORT);
	assert_int_equal(ep.port, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addr_parse),
		cmocka_unit_test(test_addr_basics),
		cmocka_unit_test(test_prefix_parse),
		cmocka_unit_test(test_endpoint_parse),
		cmocka_unit_test(test_longest_texts_fit),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_special),
		cmocka_unit_test(test_contains),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_first_and_last),
		cmocka_unit_test(test_sockaddr_round_trip),
		cmocka_unit_test(test_sockaddr_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
