#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/ctl/flow_arg.h"
#include "agent/ctl/protocol.h"

static const struct {
	const char *text;
	const char *host; /* NULL: refused */
	uint16_t port;
	uint8_t proto;
	const char *problem; /* in part */
} cases[] = {
	{ "server", "server", 0, IPPROTO_TCP, NULL },
	{ "server:22", "server", 22, IPPROTO_TCP, NULL },
	{ "server:*", "server", 0, IPPROTO_TCP, NULL },
	{ "server.mesh.example.:65535", "server.mesh.example.", 65535, IPPROTO_TCP, NULL },
	{ "server:53/udp", "server", 53, IPPROTO_UDP, NULL },
	{ "server:53/17", "server", 53, IPPROTO_UDP, NULL },
	{ "server:9/132", "server", 9, IPPROTO_SCTP, NULL },
	{ "server/icmp", "server", 0, IPPROTO_ICMP, NULL },
	{ "server/99", "server", 0, 99, NULL },
	{ "100.64.0.1:22", "100.64.0.1", 22, IPPROTO_TCP, NULL },
	{ "fd7a::1", "fd7a::1", 0, IPPROTO_TCP, NULL },
	/* It is an address as it stands. */
	{ "fd7a::1:22", "fd7a::1:22", 0, IPPROTO_TCP, NULL },
	{ "[fd7a::1]", "fd7a::1", 0, IPPROTO_TCP, NULL },
	{ "[fd7a::1]:22", "fd7a::1", 22, IPPROTO_TCP, NULL },
	{ "[fd7a::1]:53/udp", "fd7a::1", 53, IPPROTO_UDP, NULL },
	{ "[fd7a::1]/icmpv6", "fd7a::1", 0, IPPROTO_ICMPV6, NULL },
	{ "server:0", NULL, 0, 0, "'0' is no port" },
	{ "server:65536", NULL, 0, 0, "'65536' is no port" },
	{ "server:ssh", NULL, 0, 0, "'ssh' is no port" },
	{ "server:", NULL, 0, 0, "'' is no port" },
	{ "server:22/", NULL, 0, 0, "'' is no protocol" },
	{ "server:22/TCP", NULL, 0, 0, "'TCP' is no protocol" },
	{ "server/0", NULL, 0, 0, "'0' is no protocol" },
	{ "server/256", NULL, 0, 0, "'256' is no protocol" },
	{ "server:22/icmp", NULL, 0, 0, "names a port, which the protocol does not have" },
	{ ":22", NULL, 0, 0, "lacks a host" },
	{ "", NULL, 0, 0, "lacks a host" },
	{ "/udp", NULL, 0, 0, "lacks a host" },
	{ "x:\033[2J", NULL, 0, 0, "'?[2J' is no port" },
};

static void test_parse(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(flow_arg_done) struct flow_arg arg = { 0 };
		_cleanup_free_ char *problem = NULL;
		int r = flow_arg_parse(cases[i].text, &arg, &problem);

		print_message("%s: %s\n", cases[i].text, problem ? problem : "");
		assert_int_equal(r, cases[i].host ? 0 : -EINVAL);
		if (!cases[i].host) {
			assert_null(arg.host);
			assert_non_null(strstr(problem, cases[i].problem));
			continue;
		}
		assert_string_equal(arg.host, cases[i].host);
		assert_int_equal(arg.port, cases[i].port);
		assert_int_equal(arg.proto, cases[i].proto);
	}
}

static void test_protocols(void **state)
{
	uint8_t proto;

	assert_string_equal(protocol_name(IPPROTO_TCP), "tcp");
	assert_null(protocol_name(99));
	assert_int_equal(protocol_parse("-1", &proto), -EINVAL);
	assert_int_equal(protocol_parse("255", &proto), 0);
	assert_int_equal(proto, 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_protocols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
