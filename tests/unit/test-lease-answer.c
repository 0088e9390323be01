/* The agent's answers as the monitor reads them. (test-lease.c is about the agent's own side.) */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sshgw/monitor/lease.h"

#define OPTIONS                                                                       \
	"'options':{'forwarding':{'agent':true,'local':false,'remote':true},"         \
	"'acceptEnv':['GIT_*','FOO'],'forceCommand':'/bin/true','idleTimeoutUsec':5," \
	"'maxDurationUsec':6,'message':'hello'}"
#define MINIMAL                                                                            \
	"'state':'accept','leaseId':'l1','nodeId':'n2','nodeName':'laptop','nodeKey':'k'," \
	"'localUser':'alice'"
#define MINIMAL_OPTIONS \
	"'options':{'forwarding':{'agent':false,'local':false,'remote':false},'acceptEnv':[]}"

/* Texts here are written with ' for ". */
static int read_text(const char *text, struct lease_answer *ret_answer, char **reterr_text)
{
	_cleanup_free_ char *copy = strdup(text);
	json_error_t error;
	json_t *json;
	int r;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	json = json_loads(copy, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
	if (!json)
		fail_msg("%s: %s", copy, error.text);
	r = lease_answer_read(json, ret_answer, reterr_text);
	json_decref(json);
	return r;
}

static void test_full_accept(void **state)
{
	_cleanup_(lease_answer_done) struct lease_answer answer = { 0 };
	const struct lease *lease = &answer.lease;
	char *text = NULL;

	assert_int_equal(read_text("{" MINIMAL "," OPTIONS ",'user':'alice@example.com',"
				   "'nonroot':false,'validUntil':1795341600000000,"
				   "'rule':'ssh[2] line 31','unknown':[1]}",
				   &answer, &text),
			 0);
	assert_null(text);
	assert_int_equal(answer.state, LEASE_ACCEPT);
	assert_string_equal(lease->id, "l1");
	assert_string_equal(lease->node_id, "n2");
	assert_string_equal(lease->node_name, "laptop");
	assert_string_equal(lease->node_key, "k");
	assert_string_equal(lease->user, "alice@example.com");
	assert_string_equal(lease->local_user, "alice");
	assert_string_equal(lease->rule, "ssh[2] line 31");
	assert_false(lease->nonroot);
	assert_true(lease->valid_until == 1795341600000000);
	assert_true(lease->forward_agent);
	assert_false(lease->forward_local);
	assert_true(lease->forward_remote);
	assert_string_equal(lease->accept_env[0], "GIT_*");
	assert_string_equal(lease->accept_env[1], "FOO");
	assert_null(lease->accept_env[2]);
	assert_string_equal(lease->force_command, "/bin/true");
	assert_int_equal(lease->idle_timeout_usec, 5);
	assert_int_equal(lease->max_duration_usec, 6);
	assert_string_equal(lease->message, "hello");
}

/* What an answer does not say is never more than what it could have said. */
static void test_minimal_accept(void **state)
{
	_cleanup_(lease_answer_done) struct lease_answer answer = { 0 };
	const struct lease *lease = &answer.lease;
	char *text = NULL;

	assert_int_equal(read_text("{" MINIMAL "," MINIMAL_OPTIONS ",'user':null,'rule':null}",
				   &answer, &text),
			 0);
	assert_true(lease->nonroot);
	assert_true(lease->valid_until == UINT64_MAX);
	assert_false(lease->forward_agent || lease->forward_local || lease->forward_remote);
	assert_null(lease->accept_env[0]);
	assert_null(lease->force_command);
	assert_null(lease->user);
}

static void test_check(void **state)
{
	_cleanup_(lease_answer_done) struct lease_answer answer = { 0 };
	char *text = NULL;

	assert_int_equal(read_text("{'state':'check','check':{'message':'a\\u001bb','code':'1-2',"
				   "'url':'https://c.example/x','more':1}}",
				   &answer, &text),
			 0);
	assert_int_equal(answer.state, LEASE_CHECK);
	assert_string_equal(answer.check.message, "a?b");
	assert_string_equal(answer.check.code, "1-2");
	assert_string_equal(answer.check.url, "https://c.example/x");
}

static void test_others(void **state)
{
	static const struct {
		const char *text;
		enum lease_state state;
	} cases[] = {
		{ "{'state':'reject','reason':'policy','message':'no'}", LEASE_REJECT },
		{ "{'state':'reject','message':'no'}", LEASE_REJECT },
		{ "{'state':'revoked','message':'no'}", LEASE_REVOKED },
		{ "{'state':'keep','validUntil':5}", LEASE_KEEP },
		{ "{'state':'keep'}", LEASE_KEEP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(lease_answer_done) struct lease_answer answer = { 0 };
		char *text = NULL;

		assert_int_equal(read_text(cases[i].text, &answer, &text), 0);
		assert_int_equal(answer.state, cases[i].state);
		if (answer.state != LEASE_KEEP)
			assert_string_equal(answer.message, "no");
	}
}

static void test_handshake(void **state)
{
	_cleanup_(lease_answer_done) struct lease_answer answer = { 0 }, without = { 0 };
	char *text = NULL;

	assert_int_equal(read_text("{'state':'keep','handshake':{'time':1795341600000000,"
				   "'readUsec':7,'more':1}}",
				   &answer, &text),
			 0);
	assert_true(answer.handshake.time_usec == 1795341600000000);
	assert_int_equal(answer.handshake.read_usec, 7);
	assert_int_equal(read_text("{'state':'keep','handshake':null}", &without, &text), 0);
	assert_int_equal(without.handshake.read_usec, 0);
}

static const struct {
	const char *text, *complaint;
} refused[] = {
	{ "{}", "state" },
	{ "[]", "" },
	{ "'accept'", "" },
	{ "{'state':'check'}", "does not say where" },
	{ "{'state':'check','url':'https://c.example/','code':'1','message':'m'}",
	  "does not say where" },
	{ "{'state':'check','check':{'url':'https://c.example/','code':'1'}}", "check.message" },
	{ "{'state':'check','check':{'url':'https://c.example/','message':'m'}}", "check.code" },
	{ "{'state':'check','check':{'code':'1','message':'m'}}", "check.url" },
	{ "{'state':'check','check':{'url':'https://c.example/','code':'','message':'m'}}",
	  "check.code" },
	{ "{'state':'check','check':{'url':'https://c.example/','code':'1 2','message':'m'}}",
	  "check.code" },
	{ "{'state':'check','check':{'url':'https://c.example/','message':'m',"
	  "'code':'123456789012345678901234567890123'}}",
	  "check.code: expected 1 to 32" },
	{ "{'state':'check','check':{'url':'ftp://c.example/','code':'1','message':'m'}}",
	  "check.url: is no URL" },
	{ "{'state':'check','check':{'url':'https://c.exämple/','code':'1','message':'m'}}",
	  "check.url: has characters" },
	{ "{'state':'check','check':{'url':'https://c.example/','code':1,'message':'m'}}",
	  "check.code" },
	{ "{'state':'check','check':{'url':'https://c.example/','code':'1','message':2}}",
	  "check.message" },
	{ "{'state':'check','check':[]}", "check" },
	{ "{'state':'Accept'}", "state: unknown state" },
	{ "{'state':''}", "state: unknown state" },
	{ "{'state':null}", "state" },
	{ "{'state':1}", "state: unknown state" },
	{ "{'state':'reject'}", "no message" },
	{ "{'state':'revoked','reason':'x'}", "no message" },
	{ "{'state':'keep','validUntil':-1}", "validUntil" },
	{ "{'state':'keep','validUntil':'soon'}", "validUntil" },
	{ "{'state':'keep','validUntil':1.5}", "validUntil" },
	{ "{'state':'keep','handshake':7}", "handshake" },
	{ "{'state':'keep','handshake':{'time':7}}", "handshake.readUsec" },
	{ "{'state':'keep','handshake':{'readUsec':7}}", "handshake.time" },
	{ "{" MINIMAL "}", "lacks" },
	{ "{" MINIMAL ",'options':null}", "lacks" },
	{ "{" MINIMAL ",'options':{}}", "options.forwarding" },
	{ "{" MINIMAL ",'options':{'forwarding':{'agent':true,'local':true,'remote':true}}}",
	  "options.acceptEnv" },
	{ "{" MINIMAL ",'options':{'forwarding':{'agent':true,'local':true},'acceptEnv':[]}}",
	  "options.forwarding.remote" },
	{ "{" MINIMAL ",'options':{'forwarding':{'agent':1,'local':true,'remote':true},"
	  "'acceptEnv':[]}}",
	  "options.forwarding.agent" },
	{ "{" MINIMAL ",'options':{'forwarding':{'agent':true,'local':true,'remote':true},"
	  "'acceptEnv':'*'}}",
	  "options.acceptEnv" },
	{ "{" MINIMAL ",'options':{'forwarding':{'agent':true,'local':true,'remote':true},"
	  "'acceptEnv':['A',1]}}",
	  "options.acceptEnv[1]" },
	{ "{" MINIMAL "," MINIMAL_OPTIONS ",'nonroot':'no'}", "nonroot" },
	{ "{" MINIMAL "," MINIMAL_OPTIONS ",'nonroot':0}", "nonroot" },
	{ "{'state':'accept','leaseId':'l1','nodeId':'n2','nodeName':'laptop','nodeKey':'k',"
	  "'localUser':''," MINIMAL_OPTIONS "}",
	  "lacks" },
	{ "{'state':'accept','leaseId':'l1','nodeId':'n2','nodeName':'laptop','nodeKey':'k',"
	  "'localUser':null," MINIMAL_OPTIONS "}",
	  "lacks" },
	{ "{'state':'accept','nodeId':'n2','nodeName':'laptop','nodeKey':'k',"
	  "'localUser':'alice'," MINIMAL_OPTIONS "}",
	  "lacks" },
	{ "{'state':'accept','leaseId':'l1','nodeId':'n2','nodeName':'laptop','nodeKey':'k',"
	  "'localUser':7," MINIMAL_OPTIONS "}",
	  "localUser" },
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct lease_answer answer = { .state = LEASE_KEEP, .reason = (char *)state };
		_cleanup_free_ char *text = NULL;

		print_message("%s\n", refused[i].text);
		assert_int_equal(read_text(refused[i].text, &answer, &text), -EINVAL);
		assert_non_null(text);
		assert_non_null(strstr(text, refused[i].complaint));
		assert_ptr_equal(answer.reason, state);
	}
}

static void test_number_of_patterns(void **state)
{
	for (int n = 256; n <= 257; n++) {
		json_t *list = json_array(), *json;
		struct lease_answer answer = { 0 };
		_cleanup_free_ char *text = NULL;

		for (int i = 0; i < n; i++)
			json_array_append_new(list, json_string("A"));
		json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:{s:{s:b, s:b, s:b}, s:o}}",
				 "state", "accept", "leaseId", "l", "nodeId", "n", "nodeName", "n",
				 "nodeKey", "k", "localUser", "u", "options", "forwarding", "agent",
				 0, "local", 0, "remote", 0, "acceptEnv", list);
		assert_non_null(json);
		assert_int_equal(lease_answer_read(json, &answer, &text), n == 256 ? 0 : -EINVAL);
		lease_answer_done(&answer);
		json_decref(json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_accept),
		cmocka_unit_test(test_minimal_accept),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_number_of_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
