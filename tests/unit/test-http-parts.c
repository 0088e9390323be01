/* The pure parts of the HTTP server: targets, heads, who is behind proxies, routes, rates. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "coord/http/forwarded.h"
#include "coord/http/head.h"
#include "coord/http/rate.h"
#include "coord/http/route.h"
#include "coord/http/target.h"

static void test_targets(void **state)
{
	static const struct {
		const char *text;
		const char *segments, *parameters; /* each followed by '|'; NULL: refused */
	} cases[] = {
		{ "/", "|", "" },
		{ "/a", "a|", "" },
		{ "/a/", "a||", "" },
		{ "//a", "|a|", "" },
		{ "/a%2fb/%41%C3%a4", "a/b|A\xc3\xa4|", "" },
		{ "/a+b", "a+b|", "" },
		{ "/?", "|", "" },
		{ "/?a", "|", "a=|" },
		{ "/?a=1&b=2&a=%3d%26", "|", "a=1|b=2|a==&|" },
		{ "/?a=b=c", "|", "a=b=c|" },
		{ "/?&&a+b=c+d&", "|", "a b=c d|" },
		{ "/?=x", "|", "=x|" },
		{ "/?a?b=/", "|", "a?b=/|" },
		{ "", NULL, NULL },
		{ "*", NULL, NULL },
		{ "a", NULL, NULL },
		{ "http://h/", NULL, NULL },
		{ "/%", NULL, NULL },
		{ "/%4", NULL, NULL },
		{ "/%g1", NULL, NULL },
		{ "/%00", NULL, NULL },
		{ "/%1b", NULL, NULL },
		{ "/\x7f", NULL, NULL },
		{ "/%c0%af", NULL, NULL },
		{ "/a/./b", NULL, NULL },
		{ "/a/%2E%2e", NULL, NULL },
		{ "/?a=%", NULL, NULL },
		{ "/?%ff=1", NULL, NULL },
		{ "/?a=%e2%80%ae", NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_target target;
		char segments[128] = "", parameters[128] = "";
		const char *why = NULL;
		int r = http_target_parse(cases[i].text, &target, &why);

		if (!cases[i].segments) {
			if (r != -EINVAL)
				fail_msg("%s is not refused", cases[i].text);
			assert_non_null(why);
			continue;
		}
		if (r < 0)
			fail_msg("%s: %s", cases[i].text, why);
		for (size_t k = 0; k < target.n_segments; k++)
			strcat(strcat(segments, target.segments[k]), "|");
		for (size_t k = 0; k < target.n_parameters; k++)
			strcat(strcat(strcat(strcat(parameters, target.parameters[k].name), "="),
				      target.parameters[k].value),
			       "|");
		assert_string_equal(segments, cases[i].segments);
		assert_string_equal(parameters, cases[i].parameters);
		http_target_done(&target);
	}
}

/* A head as libmicrohttpd leaves it, '@' for NUL; the first line is "GET@/@HTTP/1.1@@". */
static const char *check(const char *text, size_t n_fields)
{
	char memory[256];
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		memory[i] = text[i] == '@' ? '\0' : text[i];
	return http_head_check(&(struct http_head){
		.start = memory,
		.target = memory + 4,
		.version = memory + 6,
		.len = len,
		.n_fields = n_fields,
		.target_len = 1,
	});
}

static void test_heads(void **state)
{
	static const char first[] = "GET@/@HTTP/1.1@@";
	static const struct {
		const char *fields;
		size_t n;
		bool good;
	} cases[] = {
		{ "@@", 0, true },
		{ "Host@ h@@@@", 1, true },
		{ "Host@h@@X-Y@\t z \xc3\xa4@@@@", 2, true },
		{ "Host@@@@@", 1, true }, /* empty */
		{ "", 0, false },
		{ "@", 0, false },
		{ "@@@", 0, false },
		{ "Host@ h@@@@", 2, false }, /* there is one that is hidden */
		{ "Host@ h@@@@", 0, false },
		{ "Host@ h@@@", 1, false },
		{ "Host@ h@@", 1, false },
		{ "Host@ h@X@ y@@@@", 2, false }, /* LF */
		{ "Host @ h@@@@", 1, false },
		{ " Host@ h@@@@", 1, false },
		{ "X@ y@@ z@@@@", 1, false }, /* folded */
		{ "X@ y\rz@ y@@@@", 1, false },
		{ "X@ y\x1bz@@@@", 1, false },
		{ "@ y@@@@", 1, false },
		{ "X@ y@@@a@@", 1, false },
	};
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		strcat(strcpy(text, first), cases[i].fields);
		if (!check(text, cases[i].n) != cases[i].good)
			fail_msg("%s: %s", text, check(text, cases[i].n));
	}
	assert_non_null(check("GET@/@HTTP/1.1@", 0));
	assert_non_null(check("G T@/@HTTP/1.1@@@@", 0));
	assert_non_null(check("GET@/@HTTP/1.1@x@@@@", 0));
	assert_non_null(check("GE@@/@HTTP/1.1@@@@", 0));
	assert_non_null(check("GET@@@HTTP/1.1@@@", 0));
}

static const char *who(const char *peer, const char *first, const char *second)
{
	static char text[IP_ADDR_STRLEN];
	static struct ip_prefix trusted[3];
	const struct http_proxies proxies = { trusted, 3 };
	const char *const values[] = { first, second };
	struct ip_addr addr;

	assert_int_equal(ip_prefix_parse("127.0.0.1", &trusted[0]), 0);
	assert_int_equal(ip_prefix_parse("10.0.0.0/8", &trusted[1]), 0);
	assert_int_equal(ip_prefix_parse("fd00::/8", &trusted[2]), 0);
	assert_int_equal(ip_addr_parse(peer, &addr), 0);
	addr = http_forwarded_client(&proxies, &addr, values, second ? 2 : first ? 1 : 0);
	return ip_addr_to_string(&addr, text);
}

static void test_forwarded(void **state)
{
	assert_string_equal(who("192.0.2.1", "192.0.2.9", NULL), "192.0.2.1");
	assert_string_equal(who("127.0.0.1", NULL, NULL), "127.0.0.1");
	assert_string_equal(who("127.0.0.1", "192.0.2.9", NULL), "192.0.2.9");
	assert_string_equal(who("127.0.0.1", "6.6.6.6,192.0.2.9", NULL), "192.0.2.9");
	assert_string_equal(who("127.0.0.1", "6.6.6.6, 192.0.2.9 ,\t10.1.1.1", NULL), "192.0.2.9");
	assert_string_equal(who("127.0.0.1", "6.6.6.6", "192.0.2.9, 10.1.1.1"), "192.0.2.9");
	assert_string_equal(who("127.0.0.1", "192.0.2.9", "10.1.1.1, 10.1.1.2"), "192.0.2.9");
	/* Nothing but proxies: the one that is farthest away. */
	assert_string_equal(who("127.0.0.1", "10.1.1.1, 10.1.1.2", NULL), "10.1.1.1");
	/* With ports, as some add them. */
	assert_string_equal(who("fd00::1", "192.0.2.9:4711", NULL), "192.0.2.9");
	assert_string_equal(who("127.0.0.1", "[2001:db8::1]:4711", NULL), "2001:db8::1");
	assert_string_equal(who("127.0.0.1", "2001:db8::1", NULL), "2001:db8::1");
	/* What is no address ends the search. */
	assert_string_equal(who("127.0.0.1", "192.0.2.9, unknown", NULL), "127.0.0.1");
	assert_string_equal(who("127.0.0.1", "192.0.2.9, unknown, 10.1.1.1", NULL), "10.1.1.1");
	assert_string_equal(who("127.0.0.1", "", NULL), "127.0.0.1");
	assert_string_equal(who("127.0.0.1", "192.0.2.9,", NULL), "127.0.0.1");
	assert_string_equal(who("127.0.0.1", "192.0.2.9", ","), "127.0.0.1");

	assert_true(http_forwarded_secure("https"));
	assert_true(http_forwarded_secure("http, HTTPS "));
	assert_false(http_forwarded_secure("https, http"));
	assert_false(http_forwarded_secure("httpsx"));
	assert_false(http_forwarded_secure(""));
}

static void test_host(void **state)
{
	static const struct {
		const char *host, *authority;
		bool is;
	} cases[] = {
		{ "coord.example", "coord.example", true },
		{ "Coord.Example", "coord.example", true },
		{ "coord.example:8080", "coord.example", false },
		{ "coord.example", "coord.example:8443", true },
		{ "coord.example:8443", "coord.example:8443", true },
		{ "coord.example:8444", "coord.example:8443", false },
		{ "coord.exampl", "coord.example", false },
		{ "coord.example.org", "coord.example", false },
		{ "127.0.0.1:8080", "coord.example", false },
		{ "", "coord.example", false },
		{ "[2001:db8::1]", "[2001:db8::1]:8443", true },
		{ "[2001:db8::1]:8443", "[2001:db8::1]:8443", true },
		{ "[2001", "[2001:db8::1]:8443", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (http_host_is(cases[i].host, cases[i].authority) != cases[i].is)
			fail_msg("%s, %s", cases[i].host, cases[i].authority);
}

static int handle(struct http_request *req, void *userdata)
{
	return 0;
}

static void test_routes(void **state)
{
	static const struct http_route routes[] = {
		{ "GET", "/", HTTP_ON_NETWORK, 0, handle },
		{ "GET", "/a/{x}/b/{y}", HTTP_ON_NETWORK, 0, handle },
		{ "GET", "/a/b", HTTP_ON_NETWORK, 0, handle },
		{ "PUT", "/a/{x}", HTTP_ON_NETWORK, 0, handle },
		{ "DELETE", "/a/{x}", HTTP_ON_UNIX, 0, handle },
	};
	static const struct {
		const char *method, *target;
		unsigned on;
		int route; /* -1: 404, -2: 405 */
		const char *allow;
	} cases[] = {
		{ "GET", "/", HTTP_ON_NETWORK, 0, "" },
		{ "HEAD", "/", HTTP_ON_NETWORK, 0, "" },
		{ "GET", "/", HTTP_ON_UNIX, -1, "" },
		{ "GET", "/a/b", HTTP_ON_NETWORK, 2, "" },
		{ "PUT", "/a/b", HTTP_ON_NETWORK, 3, "" },
		{ "POST", "/a/b", HTTP_ON_NETWORK, -2, "GET, HEAD, PUT" },
		{ "get", "/a/b", HTTP_ON_NETWORK, -2, "GET, HEAD, PUT" },
		{ "DELETE", "/a/c", HTTP_ON_NETWORK, -2, "PUT" },
		{ "DELETE", "/a/c", HTTP_ON_UNIX, 4, "" },
		{ "PUT", "/a/", HTTP_ON_NETWORK, -1, "" },
		{ "PUT", "/a/b/", HTTP_ON_NETWORK, -1, "" },
		{ "PUT", "/a", HTTP_ON_NETWORK, -1, "" },
		{ "GET", "/a/1/b/2", HTTP_ON_NETWORK, 1, "" },
		{ "GET", "/a/1/c/2", HTTP_ON_NETWORK, -1, "" },
		{ "GET", "/a/1%2fb/2", HTTP_ON_NETWORK, -1, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct http_route *route = NULL;
		char allow[HTTP_ALLOW_LEN];
		struct http_target target;
		const char *why;
		int r, expected = cases[i].route;

		assert_int_equal(http_target_parse(cases[i].target, &target, &why), 0);
		r = http_route_find(routes, ARRAY_SIZE(routes), cases[i].method, &target,
				    cases[i].on, &route, allow);
		assert_int_equal(r, expected == -1   ? HTTP_NO_PATH
				    : expected == -2 ? HTTP_NO_METHOD
						     : 0);
		if (r == 0)
			assert_ptr_equal(route, &routes[expected]);
		if (r == HTTP_NO_METHOD)
			assert_string_equal(allow, cases[i].allow);
		if (expected == 1) {
			assert_string_equal(http_route_param(route, &target, "x"), "1");
			assert_string_equal(http_route_param(route, &target, "y"), "2");
			assert_null(http_route_param(route, &target, "z"));
		}
		http_target_done(&target);
	}
}

static int take(struct http_rate *rate, const char *text, uint64_t now)
{
	struct ip_addr addr;
	unsigned seconds = 0;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return http_rate_take(rate, &addr, now, &seconds) == 0 ? 0 : (int)seconds;
}

static void test_rates(void **state)
{
	const struct http_rate_config config = { .per_second = 0.5,
						 .burst = 2,
						 .max_addresses = 64 };
	_cleanup_(http_rate_freep) struct http_rate *rate = NULL;
	uint64_t now = USEC_PER_SEC;
	char text[32];

	assert_int_equal(http_rate_new(&config, &rate), 0);
	assert_int_equal(take(rate, "192.0.2.1", now), 0);
	assert_int_equal(take(rate, "192.0.2.1", now), 0);
	assert_int_equal(take(rate, "192.0.2.1", now), 2);
	assert_int_equal(take(rate, "192.0.2.1", now + USEC_PER_SEC), 1);
	assert_int_equal(take(rate, "192.0.2.1", now + 2 * USEC_PER_SEC), 0);
	assert_int_equal(take(rate, "192.0.2.1", now + 2 * USEC_PER_SEC), 2);
	/* Others are not concerned; a /64 is one. */
	assert_int_equal(take(rate, "192.0.2.2", now), 0);
	assert_int_equal(take(rate, "2001:db8:0:1::1", now), 0);
	assert_int_equal(take(rate, "2001:db8:0:1:ffff::2", now), 0);
	assert_int_equal(take(rate, "2001:db8:0:1:1:2:3:4", now), 2);
	assert_int_equal(take(rate, "2001:db8:0:2::1", now), 0);
	/* Not more than the burst is saved up. */
	now += 3600 * USEC_PER_SEC;
	assert_int_equal(take(rate, "192.0.2.1", now), 0);
	assert_int_equal(take(rate, "192.0.2.1", now), 0);
	assert_int_equal(take(rate, "192.0.2.1", now), 2);
	/* Passers-by do not make it forget who asks too often. */
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "198.51.%u.%u", i / 250, i % 250);
		assert_int_equal(take(rate, text, now), 0);
	}
	assert_int_equal(take(rate, "192.0.2.1", now), 2);
}

static void test_bad_rates(void **state)
{
	static const struct http_rate_config bad[] = {
		{ .per_second = 0, .burst = 1, .max_addresses = 1 },
		{ .per_second = 1, .burst = 0, .max_addresses = 1 },
		{ .per_second = 1, .burst = 1, .max_addresses = 0 },
	};
	struct http_rate *rate;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(http_rate_new(&bad[i], &rate), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets),	  cmocka_unit_test(test_heads),
		cmocka_unit_test(test_forwarded), cmocka_unit_test(test_host),
		cmocka_unit_test(test_routes),	  cmocka_unit_test(test_rates),
		cmocka_unit_test(test_bad_rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
