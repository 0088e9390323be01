/*
 * What the audit subsystem is told, which has to be one record whatever a client says; and that the
 * kernel takes it, with AUDIT_KERNEL in the environment: that switches auditing on for a moment,
 * which is for a machine of one's own (tests/system/test_unit.py).
 */
#include <linux/audit.h>
#include <linux/netlink.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "sshgw/audit.h"

static void test_success(void **state)
{
	char text[AUDIT_TEXT_LEN];

	assert_string_equal(audit_login_text(&(struct audit_login){ .success = true,
								    .uid = 1000,
								    .exe = "/usr/lib/session",
								    .address = "fd00::2" },
					     text),
			    "op=login id=1000 exe=\"/usr/lib/session\" hostname=? addr=fd00::2 "
			    "terminal=ssh res=success");
}

static void test_names(void **state)
{
	static const struct {
		const char *account, *encoded;
	} cases[] = {
		{ "alice", "\"alice\"" },
		{ "a.b-c@d$", "\"a.b-c@d$\"" },
		{ "", "?" },
		{ "x res=success", "78207265733D73756363657373" },
		{ "a\"b", "612262" },
		{ "a'b", "612762" },
		{ "a\nb", "610A62" },
		{ "\x7f", "7F" },
		{ "\xff\xc3\xa9", "FFC3A9" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct audit_login login = { .account = cases[i].account,
						   .exe = "/a b (deleted)",
						   .address = "100.64.0.2" };
		char text[AUDIT_TEXT_LEN], want[256];

		snprintf(want, sizeof(want),
			 "op=login acct=%s exe=2F612062202864656C6574656429 hostname=? "
			 "addr=100.64.0.2 terminal=ssh res=failed",
			 cases[i].encoded);
		assert_string_equal(audit_login_text(&login, text), want);
	}
}

/* The end of the text has the result, whatever is in front of it. */
static void test_long_values(void **state)
{
	static const char end[] = " terminal=ssh res=failed";
	static const char fill[] = { 'x', ' ' };

	for (size_t i = 0; i < ARRAY_SIZE(fill); i++) {
		char value[5000], text[AUDIT_TEXT_LEN];
		const struct audit_login login = { .account = value,
						   .exe = value,
						   .address = "fd7a:115c:a1e0::1" };

		memset(value, fill[i], sizeof(value) - 1);
		value[sizeof(value) - 1] = '\0';
		audit_login_text(&login, text);
		assert_string_equal(text + strlen(text) - strlen(end), end);
		assert_null(strchr(text, '\n'));
	}
}

/* ---- the kernel ---- */

#define USER_LOGIN     1112 /* audit(8) */
#define ANSWER_MSEC    20000
#define MAX_RECORDS    100
#define MAX_RECORD_LEN 8970 /* linux/audit.h has it for the kernel only */

static void switch_auditing(bool on)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct {
		struct nlmsghdr header;
		struct audit_status status;
	} msg = {
		.header = { .nlmsg_len = sizeof(msg),
			    .nlmsg_type = AUDIT_SET,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.status = { .mask = AUDIT_STATUS_ENABLED, .enabled = on },
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} ack;

	assert_true(fd >= 0);
	assert_int_equal(
		sendto(fd, &msg, sizeof(msg), 0, (struct sockaddr *)&kernel, sizeof(kernel)),
		sizeof(msg));
	assert_int_equal(recv(fd, &ack, sizeof(ack), 0), sizeof(ack));
	assert_int_equal(ack.error.error, 0);
}

/* Hears what auditd would. */
static int listen_to_records(void)
{
	struct sockaddr_nl group = { .nl_family = AF_NETLINK,
				     .nl_groups = 1u << (AUDIT_NLGRP_READLOG - 1) };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&group, sizeof(group)), 0);
	return fd;
}

/* The next record of a login. text: of len bytes. */
static void next_login(int fd, char *text, size_t len)
{
	struct {
		struct nlmsghdr header;
		char text[MAX_RECORD_LEN];
	} record;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (unsigned i = 0; i < MAX_RECORDS; i++) {
		ssize_t n;

		assert_int_equal(poll(&p, 1, ANSWER_MSEC), 1);
		n = recv(fd, &record, sizeof(record), 0);
		assert_true(n > (ssize_t)sizeof(record.header));
		if (record.header.nlmsg_type != USER_LOGIN)
			continue;
		n -= (ssize_t)sizeof(record.header);
		snprintf(text, len, "%.*s", (int)n, record.text);
		return;
	}
	fail_msg("no record of a login");
}

static void test_kernel_takes_it(void **state)
{
	const struct audit_login in = { .success = true, .uid = 4711, .address = "100.64.0.2" };
	const struct audit_login out = { .account = "eve' res=success", .address = "fd00::2" };
	_cleanup_close_ int fd = -1;
	char text[MAX_RECORD_LEN];

	fd = listen_to_records();
	switch_auditing(true);
	assert_int_equal(audit_login(&in), 0);
	assert_int_equal(audit_login(&out), 0);
	switch_auditing(false);
	next_login(fd, text, sizeof(text));
	assert_non_null(strstr(text, "msg='op=login id=4711 exe=\""));
	assert_non_null(strstr(text, "/test-audit\" hostname=? addr=100.64.0.2 terminal=ssh "
				     "res=success'"));
	next_login(fd, text, sizeof(text));
	assert_non_null(strstr(text, "msg='op=login acct=65766527207265733D73756363657373 exe=\""));
	assert_non_null(strstr(text, " addr=fd00::2 terminal=ssh res=failed'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_success),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_values),
	};
	const struct CMUnitTest kernel_tests[] = {
		cmocka_unit_test(test_kernel_takes_it),
	};

	if (getenv("AUDIT_KERNEL"))
		return cmocka_run_group_tests(kernel_tests, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
