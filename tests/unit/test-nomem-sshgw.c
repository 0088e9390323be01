/* The gateway's decoders and decisions without memory: nobody is let in by half an answer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/ceiling.h"
#include "common/json.h"
#include "common/text.h"
#include "common/varlink.h"
#include "sshgw/monitor/lease.h"
#include "sshgw/msg.h"
#include "tests/unit/nomem.h"

/* ---- what the agent says ---- */

static const char answer_text[] =
	"{\"state\":\"accept\",\"leaseId\":\"l1\",\"nodeId\":\"n2\",\"nodeName\":\"laptop\","
	"\"nodeKey\":\"k\",\"localUser\":\"alice\",\"user\":\"alice@example.com\",\"nonroot\":true,"
	"\"validUntil\":1795341600000000,\"rule\":\"ssh[2] line 31\",\"options\":{\"forwarding\":{"
	"\"agent\":false,\"local\":false,\"remote\":false},\"acceptEnv\":[\"GIT_*\",\"FOO\"],"
	"\"forceCommand\":\"/usr/bin/backup --to /srv/a-rather-long-name-of-a-directory\","
	"\"message\":\"hello\"}}";

static int read_answer(void *userdata)
{
	_cleanup_(lease_answer_done) struct lease_answer answer = { 0 };
	_cleanup_free_ char *problem = NULL;
	json_error_t error;
	json_t *json = NULL;
	int r;

	nomem_begin();
	r = json_load(answer_text, strlen(answer_text), 0, &error, &json);
	if (r == 0)
		r = lease_answer_read(json, &answer, &problem);
	json_decref(json);
	nomem_end();
	if (r < 0) {
		assert_null(answer.lease.local_user);
		return r;
	}
	/* What restricts is there, whole. */
	assert_true(answer.lease.nonroot);
	assert_string_equal(answer.lease.local_user, "alice");
	assert_string_equal(answer.lease.force_command,
			    "/usr/bin/backup --to /srv/a-rather-long-name-of-a-directory");
	assert_string_equal(answer.lease.accept_env[1], "FOO");
	assert_null(answer.lease.accept_env[2]);
	return 0;
}

static int read_call(void *userdata)
{
	const char *text = userdata;
	struct varlink_call_msg msg = { 0 };
	int r;

	nomem_begin();
	r = varlink_call_parse(text, strlen(text), &msg);
	nomem_end();
	if (r == 0) {
		assert_string_equal(msg.method, "io.peergate.Agent.WhoIs");
		assert_string_equal(json_string_value(json_object_get(msg.parameters, "address")),
				    "100.64.0.12");
		varlink_call_msg_done(&msg);
	}
	return r;
}

static void test_agent(void **state)
{
	char call[] = "{\"method\":\"io.peergate.Agent.WhoIs\",\"parameters\":{\"address\":"
		      "\"100.64.0.12\"},\"more\":false}";

	nomem_try("the agent's answer", read_answer, NULL);
	nomem_try("a call", read_call, call);
}

/* ---- the host's ceiling ---- */

static const char ceiling_text[] = "SSH=yes\nPermitRootLogin=no\nAllowUsers=alice bob carol\n"
				   "DenyUsers=mallory\nSftpServer=/usr/lib/sftp-server\n";

static int load_ceiling(void *userdata)
{
	struct ceiling ceiling;
	_cleanup_free_ char *problem = NULL;
	int r;

	nomem_begin();
	r = ceiling_load(userdata, &ceiling, &problem);
	nomem_end();
	if (r == 0) {
		assert_null(ceiling_refuses(&ceiling, "alice", 1000));
		assert_non_null(ceiling_refuses(&ceiling, "dave", 1000));
		assert_non_null(ceiling_refuses(&ceiling, "mallory", 1000));
		ceiling_done(&ceiling);
	}
	return r;
}

static void test_ceiling(void **state)
{
	char path[] = "/tmp/ceiling.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, ceiling_text, strlen(ceiling_text)), strlen(ceiling_text));
	close(fd);
	if (geteuid() == 0)
		nomem_try("the ceiling", load_ceiling, path);
	unlink(path);
}

/* ---- what the processes say to one another ---- */

static int pass_start(void *userdata)
{
	static char name[] = "LANG", value[] = "C.UTF-8", command[] = "echo 'a command'",
		    term[] = "xterm-256color";
	static uint8_t modes[] = { 1, 0, 0, 0, 3, 0 };
	const struct msg_start start = {
		.channel = 7,
		.kind = START_EXEC,
		.command = command,
		.has_pty = true,
		.pty = { .term = term, .columns = 80, .rows = 24, .modes = { modes, 6 } },
		.env = { { name, value }, { name, value } },
		.n_env = 2,
	};
	struct chan_writer w = { 0 };
	struct msg_start seen;
	int r;

	nomem_begin();
	r = msg_start_put(&w, &start);
	if (r == 0)
		r = w.error;
	if (r == 0) {
		struct chan_msg msg = { .type = NET_START, .data = w.data, .len = w.len };

		r = msg_start_get(&msg, &seen);
	}
	chan_writer_done(&w);
	nomem_end();
	if (r < 0)
		return r;
	assert_string_equal(seen.command, command);
	assert_string_equal(seen.pty.term, term);
	assert_int_equal(seen.n_env, 2);
	assert_string_equal(seen.env[1].value, value);
	msg_start_done(&seen);
	return 0;
}

static int pass_message(void *userdata)
{
	struct chan_writer w = { 0 };
	struct chan_msg msg = { 0 };
	char *text = NULL;
	int pair[2], r;

	assert_int_equal(chan_pair(pair), 0);
	nomem_begin();
	chan_put_string(&w, "alice");
	r = chan_send(pair[0], NET_AUTHORIZE, &w, NULL, 0);
	if (r == 0)
		r = chan_receive(pair[1], &msg);
	if (r == 0)
		r = msg_text_get(&msg, MSG_MAX_USER, &text);
	chan_msg_done(&msg);
	chan_writer_done(&w);
	nomem_end();
	if (r == 0)
		assert_string_equal(text, "alice");
	free(text);
	close(pair[0]);
	close(pair[1]);
	return r;
}

static void test_messages(void **state)
{
	nomem_try("the start of a program", pass_start, NULL);
	nomem_try("a message", pass_message, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agent),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
