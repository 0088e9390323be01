#include <netinet/in.h>

#include <errno.h>
#include <grp.h>
#include <linux/netfilter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "agent/kernel/drop.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "tests/unit/api-fixture.h"

#define WATCH "WatchDrops"

static struct drop make_drop(const char *reason, uint8_t hook, const char *src, const char *dst)
{
	struct drop drop = {
		.hook = hook, .proto = IPPROTO_TCP, .has_ports = true, .sport = 40000, .dport = 4444
	};

	strcpy(drop.reason, reason);
	assert_int_equal(ip_addr_parse(src, &drop.src), 0);
	assert_int_equal(ip_addr_parse(dst, &drop.dst), 0);
	return drop;
}

static void test_drops(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *first = NULL, *second = NULL;
	_cleanup_free_ char *heard = NULL;
	struct fixture *f = *state;
	uint64_t end = clock_usec(CLOCK_MONOTONIC) + 20 * USEC_PER_SEC;
	struct drop drop =
		make_drop("no rule lets it in", NF_INET_LOCAL_IN, "100.64.0.2", "100.64.0.1");

	first = connect_to(f);
	send_call(f, first, WATCH, NULL, true);
	expect(first, "");
	second = connect_to(f);
	send_call(f, second, WATCH, NULL, true);
	expect(second, "");
	assert_non_null(f->drop_fn);

	f->drop_fn(&drop, f->drop_userdata);
	heard = hear(first);
	assert_string_equal(heard, "{\"time\":1800000000000000,\"reason\":\"no rule lets it in\","
				   "\"hook\":\"input\",\"source\":\"100.64.0.2\",\"destination\":"
				   "\"100.64.0.1\",\"sourceNode\":\"laptop\",\"protocol\":6,"
				   "\"sourcePort\":40000,\"destinationPort\":4444}");
	expect(second, heard);

	/* Somebody, with an address that is nobody's; then what could not be read. */
	second = varlink_client_free(second);
	pump(f);
	assert_non_null(f->drop_fn);
	drop = make_drop("no rule lets it in", NF_INET_LOCAL_IN, "100.64.0.77", "100.64.0.1");
	f->drop_fn(&drop, f->drop_userdata);
	free(heard);
	heard = hear(first);
	assert_non_null(strstr(heard, "\"reason\":\"from no peer's address\""));
	drop = make_drop("no rule lets it in", NF_INET_LOCAL_IN, "192.0.2.9", "100.64.0.1");
	f->drop_fn(&drop, f->drop_userdata);
	expect(first, "{\"time\":1800000000000000,\"reason\":\"no rule lets it in\",\"hook\":"
		      "\"input\",\"source\":\"192.0.2.9\",\"destination\":\"100.64.0.1\","
		      "\"protocol\":6,\"sourcePort\":40000,\"destinationPort\":4444}");
	drop = (struct drop){ .reason = "odd\033[2J", .hook = NF_INET_FORWARD };
	f->drop_fn(&drop, f->drop_userdata);
	expect(first, "{\"time\":1800000000000000,\"reason\":\"odd?[2J\",\"hook\":\"forward\"}");

	/* Seven were dropped since, three of them told. */
	f->n_dropped = 7;
	free(heard);
	heard = hear(first);
	while (!heard[0] && clock_usec(CLOCK_MONOTONIC) < end) {
		free(heard);
		sd_event_run(f->event, 100000);
		heard = hear(first);
	}
	assert_string_equal(heard, "{\"time\":1800000000000000,\"reason\":\"no rule lets it in\","
				   "\"suppressed\":4}");

	/* All of them told: nothing more is said. */
	f->n_dropped = 8;
	drop = make_drop("no rule lets it in", NF_INET_LOCAL_IN, "100.64.0.2", "100.64.0.1");
	f->drop_fn(&drop, f->drop_userdata);
	free(heard);
	heard = hear(first);
	assert_non_null(strstr(heard, "\"destinationPort\":4444"));
	end = clock_usec(CLOCK_MONOTONIC) + 5 * USEC_PER_SEC / 2;
	while (clock_usec(CLOCK_MONOTONIC) < end)
		sd_event_run(f->event, 100000);
	expect(first, "");

	first = varlink_client_free(first);
	pump(f);
	assert_null(f->drop_fn);
}

static void test_drops_cannot_be_had(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	_cleanup_free_ char *heard = NULL;
	struct fixture *f = *state;
	/* What it is, and what to do about it. */
	static const char begins[] = "io.peergate.Agent.CannotLog {\"reason\":\"another program "
				     "listens to group 5182 of NFLOG: end it";

	f->watch_drops_error = -EBUSY;
	client = connect_to(f);
	send_call(f, client, WATCH, NULL, true);
	heard = hear(client);
	assert_int_equal(strncmp(heard, begins, strlen(begins)), 0);
	f->watch_drops_error = 0;
	send_call(f, client, WATCH, NULL, true);
	expect(client, "");
	assert_non_null(f->drop_fn);
}

static struct varlink_client *connect_with(struct fixture *f, const gid_t *groups, size_t n)
{
	struct varlink_client *client;

	/* The kernel takes note of who connects. */
	assert_int_equal(setgroups(n, groups), 0);
	assert_int_equal(setegid(65534), 0);
	assert_int_equal(seteuid(65534), 0);
	client = connect_to(f);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(setegid(0), 0);
	return client;
}

static void test_drops_are_for_the_group(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *member = NULL, *stranger = NULL;
	const gid_t others[] = { 4711, 4712 }, ours[] = { 4711, 0 };
	struct fixture *f = *state;

	stranger = connect_with(f, others, 2);
	send_call(f, stranger, WATCH, NULL, true);
	expect(stranger, "org.varlink.service.PermissionDenied {}");
	assert_null(f->drop_fn);
	member = connect_with(f, ours, 2);
	send_call(f, member, WATCH, NULL, true);
	expect(member, "");
	assert_non_null(f->drop_fn);
}

static void drop_line(void *userdata, int level, const char *text)
{
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_drops),
		TEST(test_drops_cannot_be_had),
		TEST(test_drops_are_for_the_group),
	};

	log_set_sink(drop_line, NULL);
	if (getuid() != 0) {
		print_message("not root: nothing is shown to others\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
