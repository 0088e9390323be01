/* Peers that sleep, and peers that are there without the connection. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka.h wants those above */
#include <cmocka.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "sshgw/monitor/absence.h"
#include "sshgw/monitor/monitor.h"
#include "tests/unit/netns.h"

#define S USEC_PER_SEC

struct step {
	unsigned at;	    /* seconds, of the agent's word and of what it says */
	unsigned handshake; /* any two that differ are two */
	unsigned acked;	    /* seconds */
	enum absence_verdict verdict;
};

static void judge_all(const char *what, const struct step *steps, size_t n, bool waiting)
{
	struct absence a = { 0 };

	for (size_t i = 0; i < n; i++) {
		const struct step *s = &steps[i];
		const struct keepalive_state state = {
			.now_usec = s->at * S + 10000,
			.acked_usec = s->acked * S,
			.unanswered = true,
			.waiting = waiting,
		};
		const struct lease_handshake handshake = { s->handshake, s->at * S };
		enum absence_verdict verdict = absence_judge(&a, &handshake, &state);

		if (verdict != s->verdict)
			fail_msg("%s: step %zu: %d, expected %d", what, i, (int)verdict,
				 (int)s->verdict);
	}
}
#define JUDGE(what, waiting, ...)                                                    \
	do {                                                                         \
		static const struct step steps[] = { __VA_ARGS__ };                  \
		judge_all(what, steps, sizeof(steps) / sizeof(steps[0]), (waiting)); \
	} while (0)

static void test_asleep(void **state)
{
	JUDGE("no handshake", false, { 100, 1, 50, ABSENCE_NONE }, { 110, 1, 50, ABSENCE_NONE },
	      { 120, 1, 50, ABSENCE_NONE }, { 40000, 1, 50, ABSENCE_NONE });
	JUDGE("the first one known may be older than the last answer", false,
	      { 100, 1, 50, ABSENCE_NONE }, { 110, 1, 50, ABSENCE_NONE });
	JUDGE("awake once, and asleep again", false, { 100, 1, 50, ABSENCE_NONE },
	      { 110, 2, 50, ABSENCE_AWAKE }, { 200, 2, 50, ABSENCE_AWAKE },
	      { 300, 2, 50, ABSENCE_AWAKE }, { 400, 2, 50, ABSENCE_AWAKE },
	      { 480, 2, 50, ABSENCE_NONE }, { 490, 2, 50, ABSENCE_NONE });
	JUDGE("awake now and then", false, { 100, 1, 50, ABSENCE_NONE },
	      { 110, 2, 50, ABSENCE_AWAKE }, { 210, 2, 50, ABSENCE_AWAKE },
	      { 310, 2, 50, ABSENCE_AWAKE }, { 410, 2, 50, ABSENCE_AWAKE },
	      { 510, 3, 50, ABSENCE_NONE }, { 610, 4, 50, ABSENCE_AWAKE },
	      { 710, 4, 50, ABSENCE_AWAKE });
}

static void test_there(void **state)
{
	JUDGE("three handshakes, and no answer after them", false, { 100, 1, 50, ABSENCE_NONE },
	      { 110, 2, 50, ABSENCE_AWAKE }, { 220, 3, 50, ABSENCE_AWAKE },
	      { 330, 4, 50, ABSENCE_AWAKE }, { 337, 4, 50, ABSENCE_AWAKE },
	      { 338, 4, 50, ABSENCE_FOR_GOOD });
	JUDGE("more of them do not put it off", false, { 100, 1, 50, ABSENCE_NONE },
	      { 105, 2, 50, ABSENCE_AWAKE }, { 110, 3, 50, ABSENCE_AWAKE },
	      { 115, 4, 50, ABSENCE_AWAKE }, { 120, 5, 50, ABSENCE_AWAKE },
	      { 125, 6, 50, ABSENCE_FOR_GOOD });
	JUDGE("output is sent again more rarely than probes", true, { 100, 1, 50, ABSENCE_NONE },
	      { 110, 2, 50, ABSENCE_AWAKE }, { 220, 3, 50, ABSENCE_AWAKE },
	      { 330, 4, 50, ABSENCE_AWAKE }, { 440, 5, 50, ABSENCE_AWAKE },
	      { 469, 5, 50, ABSENCE_AWAKE }, { 470, 5, 50, ABSENCE_FOR_GOOD });
}

static void test_answers(void **state)
{
	JUDGE("after the handshakes", false, { 100, 1, 50, ABSENCE_NONE },
	      { 110, 2, 50, ABSENCE_AWAKE }, { 120, 3, 50, ABSENCE_AWAKE },
	      { 130, 4, 50, ABSENCE_AWAKE }, { 140, 4, 131, ABSENCE_NONE },
	      { 150, 4, 131, ABSENCE_NONE });
	JUDGE("perhaps after the handshake, perhaps before", false, { 100, 1, 50, ABSENCE_NONE },
	      { 110, 2, 105, ABSENCE_NONE }, { 120, 2, 105, ABSENCE_NONE });
	JUDGE("just when it was looked", false, { 100, 1, 50, ABSENCE_NONE },
	      { 110, 2, 100, ABSENCE_NONE });
	JUDGE("each time", false, { 100, 1, 99, ABSENCE_NONE }, { 110, 2, 109, ABSENCE_NONE },
	      { 120, 3, 119, ABSENCE_NONE }, { 130, 4, 129, ABSENCE_NONE },
	      { 140, 5, 139, ABSENCE_NONE });
}

static void test_not_known(void **state)
{
	JUDGE("the agent was away", false, { 100, 1, 50, ABSENCE_NONE },
	      { 110, 2, 50, ABSENCE_AWAKE }, { 120, 3, 50, ABSENCE_AWAKE },
	      { 241, 4, 50, ABSENCE_NONE }, { 251, 5, 50, ABSENCE_AWAKE });
	JUDGE("an older word comes late", false, { 100, 1, 50, ABSENCE_NONE },
	      { 110, 2, 50, ABSENCE_AWAKE }, { 120, 3, 50, ABSENCE_AWAKE },
	      { 105, 1, 50, ABSENCE_NONE }, { 130, 3, 50, ABSENCE_AWAKE },
	      { 140, 4, 50, ABSENCE_AWAKE }, { 150, 4, 50, ABSENCE_FOR_GOOD });
}

/* Its clock is another one: it is ahead of everything. */
static void test_other_clock(void **state)
{
	const struct keepalive_state now = { .now_usec = 100 * S, .unanswered = true };
	struct absence a = { 0 };

	for (unsigned i = 1; i < 10; i++)
		assert_int_equal(absence_judge(&a,
					       &(struct lease_handshake){ i, (1000 + 10 * i) * S },
					       &now),
				 ABSENCE_NONE);
}

/* Nobody was asked since: an idle connection of a host that is awake. */
static void test_not_asked(void **state)
{
	struct absence a = { 0 };

	for (unsigned i = 1; i < 10; i++)
		assert_int_equal(absence_judge(&a,
					       &(struct lease_handshake){ i, (100 + 10 * i) * S },
					       &(struct keepalive_state){ .now_usec = 1000 * S }),
				 ABSENCE_NONE);
}

/* ---- what the kernel says ---- */

static void connect_pair(int *ret_here, int *ret_there)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_cleanup_close_ int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(addr);

	assert_int_equal(bind(listener, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	*ret_there = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*ret_there, (struct sockaddr *)&addr, len), 0);
	*ret_here = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(*ret_here >= 0);
}

/* The answer to a probe counts, though nothing was said. */
static void test_probe_is_acknowledged(void **state)
{
	uint64_t end = clock_usec(CLOCK_MONOTONIC) + 30 * S;
	_cleanup_close_ int here = -1, there = -1;
	struct keepalive_state begin, now;

	connect_pair(&here, &there);
	assert_int_equal(keepalive_look(here, &begin), 0);
	assert_in_range(begin.now_usec - begin.acked_usec, 0, 30 * S);
	assert_int_equal(keepalive_set(here, 1 * S, 3600 * S), 0);
	do {
		usleep(50000);
		assert_int_equal(keepalive_look(here, &now), 0);
	} while (now.acked_usec < begin.acked_usec + S / 2 && now.now_usec < end);
	assert_true(now.acked_usec >= begin.acked_usec + S / 2);
	assert_false(now.unanswered || now.waiting);
}

static void await_answer(int fd, bool wanted)
{
	uint64_t end = clock_usec(CLOCK_MONOTONIC) + 30 * S;
	struct keepalive_state now;

	do {
		usleep(50000);
		assert_int_equal(keepalive_look(fd, &now), 0);
	} while (now.unanswered == wanted && now.now_usec < end);
	assert_int_equal(now.unanswered, !wanted);
}

static void tell(struct monitor *m, uint64_t time_usec)
{
	absence_handshake(m, &(struct lease_handshake){ time_usec, clock_usec(CLOCK_MONOTONIC) });
}

static void assert_probes(int fd, int seconds)
{
	static const int names[] = { TCP_KEEPIDLE, TCP_KEEPINTVL };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		socklen_t len = sizeof(int);
		int value = 0;

		assert_int_equal(getsockopt(fd, IPPROTO_TCP, names[i], &value, &len), 0);
		assert_int_equal(value, seconds);
	}
}

/* From the first handshake to the answer. */
static void test_asked_more_often(void **state)
{
	_cleanup_close_ int here = -1, there = -1;
	struct monitor m = {
		.state = MON_OPEN,
		.ceiling = { .keepalive_usec = 300 * S, .max_peer_absence_usec = 3600 * S },
	};

	if (!netns_enter())
		skip();
	run("ip link set lo up");
	connect_pair(&here, &there);
	m.config.connection_fd = here;
	assert_int_equal(keepalive_set(here, 1 * S, 3600 * S), 0);
	run("nft 'add table inet t; add chain inet t c { type filter hook input priority 0; };"
	    " add rule inet t c drop'");
	await_answer(here, false);
	tell(&m, 1);
	assert_probes(here, 1);
	tell(&m, 2);
	assert_probes(here, 4);
	tell(&m, 2);
	assert_probes(here, 4);
	absence_handshake(&m, NULL);
	assert_probes(here, 300);
	tell(&m, 2);
	assert_probes(here, 300);
	tell(&m, 3);
	assert_probes(here, 4);
	run("nft delete table inet t");
	await_answer(here, true);
	tell(&m, 3);
	assert_probes(here, 300);
}

/* As the story of a connection ends it: the other side's kernel learns that there is no more. */
static void test_abandoned(void **state)
{
	_cleanup_close_ int there = -1;
	socklen_t len = sizeof(int);
	int here = -1, error = 0;

	connect_pair(&here, &there);
	assert_int_equal(keepalive_abandon(here), 0);
	shutdown(here, SHUT_RDWR);
	close(here);
	assert_int_equal(getsockopt(there, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	assert_int_equal(error, EPIPE);
}

static void test_no_tcp(void **state)
{
	struct keepalive_state now;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_true(keepalive_look(pair[0], &now) < 0);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asleep),	    cmocka_unit_test(test_there),
		cmocka_unit_test(test_answers),	    cmocka_unit_test(test_not_known),
		cmocka_unit_test(test_other_clock), cmocka_unit_test(test_not_asked),
		cmocka_unit_test(test_abandoned),   cmocka_unit_test(test_probe_is_acknowledged),
		cmocka_unit_test(test_no_tcp),	    cmocka_unit_test(test_asked_more_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
