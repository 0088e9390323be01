#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/config.h"

static int parse(const char *text, char **reterr_text, struct agent_config **ret_config)
{
	return agent_config_parse(text, strlen(text), "agent.conf", reterr_text, ret_config);
}

static void assert_defaults(const struct agent_config *config)
{
	assert_null(config->netmap);
	assert_string_equal(config->interface, "mesh0");
	assert_int_equal(config->listen_port, 51820);
	assert_int_equal(config->fwmark, 0);
	assert_int_equal(config->gateway_port, 2022);
	assert_int_equal(config->log_level, LOG_INFO);
	assert_null(config->coordinator);
	assert_false(config->insecure_http);
	assert_int_equal(config->n_endpoints, 0);
	assert_int_equal(config->max_map_age_usec, 0);
}

static void test_defaults(void **state)
{
	_cleanup_(agent_config_freep) struct agent_config *empty = NULL, *absent = NULL;
	_cleanup_free_ char *error = NULL;

	assert_int_equal(parse("", &error, &empty), 0);
	assert_defaults(empty);
	assert_int_equal(agent_config_load("/nonexistent/agent.conf", 0, false, &error, &absent),
			 0);
	assert_defaults(absent);
	assert_null(error);
}

static void test_all_keys(void **state)
{
	_cleanup_(agent_config_freep) struct agent_config *config = NULL;
	char *error = NULL;

	assert_int_equal(parse("Netmap=/etc/peergate/netmap.json\nInterface=wg_1\nListenPort=1\n"
			       "FwMark=4294967295\nGatewayPort=65535\nLogLevel=debug\n"
			       "Coordinator=https://coord.example/\nCAFile=/etc/ca.pem\n"
			       "Proxy=http://proxy.example:3128\nInsecureHTTP=yes\n"
			       "Endpoint=192.0.2.7:51820 [2001:db8::7]:1\n",
			       &error, &config),
			 0);
	assert_string_equal(config->netmap, "/etc/peergate/netmap.json");
	assert_string_equal(config->interface, "wg_1");
	assert_int_equal(config->listen_port, 1);
	assert_true(config->fwmark == UINT32_MAX);
	assert_int_equal(config->gateway_port, 65535);
	assert_int_equal(config->log_level, LOG_DEBUG);
	assert_string_equal(config->coordinator, "https://coord.example");
	assert_string_equal(config->ca_file, "/etc/ca.pem");
	assert_string_equal(config->proxy, "http://proxy.example:3128");
	assert_true(config->insecure_http);
	assert_int_equal(config->n_endpoints, 2);
	assert_int_equal(config->endpoints[1].port, 1);
}

static void test_max_map_age(void **state)
{
	static const struct {
		const char *text;
		uint64_t usec;
	} cases[] = {
		{ "MaxMapAge=0", 0 },
		{ "MaxMapAge=infinity", 0 },
		{ "MaxMapAge=2m", UINT64_C(120000000) },
		{ "MaxMapAge=12h", UINT64_C(43200000000) },
		{ "MaxMapAge=365d", UINT64_C(31536000000000) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(agent_config_freep) struct agent_config *config = NULL;
		char *error = NULL;

		assert_int_equal(parse(cases[i].text, &error, &config), 0);
		assert_int_equal(config->max_map_age_usec, cases[i].usec);
	}
}

/* What everybody may ask for: no passwords. */
static void test_values(void **state)
{
	static const struct {
		const char *text, *name, *value;
	} cases[] = {
		{ "", "Netmap", "" },
		{ "", "Proxy", "" },
		{ "", "MaxMapAge", "0" },
		{ "Proxy=http://proxy.example:3128", "Proxy", "http://proxy.example:3128" },
		{ "Proxy=http://alice:p@ss@proxy.example", "Proxy", "http://...@proxy.example" },
		{ "Proxy=socks5h://alice@proxy.example", "Proxy", "socks5h://...@proxy.example" },
		{ "MaxMapAge=150500ms", "MaxMapAge", "150500ms" },
		{ "MaxMapAge=90m", "MaxMapAge", "90m" },
		{ "MaxMapAge=48h", "MaxMapAge", "2d" },
		{ "Endpoint=192.0.2.7:1 [2001:db8::7]:2", "Endpoint",
		  "192.0.2.7:1 [2001:db8::7]:2" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(agent_config_freep) struct agent_config *config = NULL;
		json_auto_t *values = NULL;
		char *error = NULL;

		assert_int_equal(parse(cases[i].text, &error, &config), 0);
		values = agent_config_values(config);
		assert_non_null(values);
		assert_string_equal(json_string_value(json_object_get(values, cases[i].name)),
				    cases[i].value);
	}
}

static const char *const refusals[][2] = {
	{ "Netmap=netmap.json", "agent.conf:1: Netmap: \"netmap.json\" does not fit" },
	{ "Coordinator=coord.example",
	  "agent.conf:1: Coordinator: \"coord.example\" does not fit; expected a URL as" },
	{ "CAFile=ca.pem", "agent.conf:1: CAFile: " },
	{ "Proxy=proxy.example:3128", "agent.conf:1: Proxy: " },
	{ "InsecureHTTP=perhaps", "agent.conf:1: InsecureHTTP: " },
	{ "Endpoint=192.0.2.7", "agent.conf:1: Endpoint: \"192.0.2.7\" does not fit; expected up" },
	{ "Endpoint=192.0.2.7:1 host.example:1", "agent.conf:1: Endpoint: " },
	{ "Endpoint=1.1.1.1:1 1.1.1.1:1 1.1.1.1:1 1.1.1.1:1 1.1.1.1:1 1.1.1.1:1 1.1.1.1:1 "
	  "1.1.1.1:1 1.1.1.1:1 1.1.1.1:1 1.1.1.1:1 1.1.1.1:1 1.1.1.1:1 1.1.1.1:1 1.1.1.1:1 "
	  "1.1.1.1:1 1.1.1.1:1",
	  "agent.conf:1: Endpoint: " },
	{ "Interface=", "agent.conf:1: Interface: " },
	{ "Interface=abcdefghijklmnop", "agent.conf:1: Interface: " },
	{ "Interface=a/b", "agent.conf:1: Interface: " },
	{ "Interface=..", "agent.conf:1: Interface: " },
	{ "Interface=a b", "agent.conf:1: Interface: " },
	{ "Interface=a%d", "agent.conf:1: Interface: " },
	{ "ListenPort=0",
	  "agent.conf:1: ListenPort: \"0\" does not fit; expected a UDP port, 1 to" },
	{ "ListenPort=65536", "agent.conf:1: ListenPort: " },
	{ "GatewayPort=0", "agent.conf:1: GatewayPort: " },
	{ "FwMark=4294967296", "agent.conf:1: FwMark: " },
	{ "MaxMapAge=119s", "agent.conf:1: MaxMapAge: \"119s\" does not fit; expected 0 or inf" },
	{ "MaxMapAge=366d", "agent.conf:1: MaxMapAge: " },
	{ "MaxMapAge=never", "agent.conf:1: MaxMapAge: " },
	{ "LogLevel=Info", "agent.conf:1: LogLevel: \"Info\" does not fit; expected error, warn" },
	{ "Port=1",
	  "agent.conf:1: Port: unknown key; expected one of Netmap, Coordinator, CAFile, Proxy, "
	  "InsecureHTTP, Endpoint, Interface, ListenPort, FwMark, GatewayPort, MaxMapAge, "
	  "LogLevel" },
};

static void test_refuses(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		_cleanup_free_ char *error = NULL;
		struct agent_config *config = NULL;

		assert_int_equal(parse(refusals[i][0], &error, &config), -EINVAL);
		if (strncmp(error, refusals[i][1], strlen(refusals[i][1])) != 0)
			fail_msg("\"%s\": \"%s\"", refusals[i][0], error);
		assert_null(config);
	}
}

static void test_required_file(void **state)
{
	_cleanup_free_ char *error = NULL;
	struct agent_config *config = NULL;

	assert_int_equal(agent_config_load("/nonexistent/agent.conf", 0, true, &error, &config),
			 -ENOENT);
	assert_string_equal(error, "/nonexistent/agent.conf: no such file");
}

/* Who may write it says where the map is. */
static void test_who_may_write_it(void **state)
{
	static const struct {
		mode_t mode;
		uid_t owner; /* added to ours */
		int r;
	} cases[] = {
		{ 0644, 0, 0 },	     { 0600, 0, 0 },	  { 0664, 0, -EPERM },
		{ 0646, 0, -EPERM }, { 0644, 1, -EPERM },
	};
	char path[] = "/tmp/test-agent-config.XXXXXX";

	close(mkstemp(path));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(agent_config_freep) struct agent_config *config = NULL;
		_cleanup_free_ char *error = NULL;

		print_message("case %zu\n", i);
		assert_int_equal(chmod(path, cases[i].mode), 0);
		assert_int_equal(
			agent_config_load(path, getuid() + cases[i].owner, true, &error, &config),
			cases[i].r);
		assert_int_equal(config == NULL, cases[i].r < 0);
		if (cases[i].r < 0)
			assert_non_null(strstr(error, ": others than root may write it"));
	}
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),	 cmocka_unit_test(test_all_keys),
		cmocka_unit_test(test_max_map_age),	 cmocka_unit_test(test_values),
		cmocka_unit_test(test_refuses),		 cmocka_unit_test(test_required_file),
		cmocka_unit_test(test_who_may_write_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
