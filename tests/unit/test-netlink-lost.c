/*
 * What gets lost between the kernel and us: answers, of which none may be taken for that to another
 * question, dumps that changes interrupt, and news. The linker puts __wrap_recvmsg() in the place
 * of nlsock's calls, __wrap_setsockopt() in that of nlwatch's. Needs root.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include <cmocka.h>

#include "agent/filter/compile.h"
#include "agent/netmap/netmap.h"
#include "agent/nft/nft.h"
#include "agent/rtnl/watch.h"
#include "tests/unit/foreign.h"
#include "tests/unit/golden.h"
#include "tests/unit/netns.h"
#include "tests/unit/rtnl-state.h"

#define NOW	 UINT64_C(1800000000000000) /* 2027-01-15T08:00:00Z */
#define SMALLEST 2304			    /* bytes, of a receive buffer (socket(7)) */
#define NO_LINK	 9999			    /* no link has this number */

/* ---- stand-ins ---- */

static struct {
	unsigned failing;      /* this receive fails, counted from 1; 0: none */
	unsigned n;	       /* receives so far */
	unsigned undisturbed;  /* so many dumps from now on are not interrupted */
	unsigned interrupted;  /* so many after them are */
	const char *meanwhile; /* done before the first of those ends */
	bool small_buffers;
} lost;

ssize_t __real_recvmsg(int fd, struct msghdr *mh, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *mh, int flags);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);

/* The end of a dump says that it is worth nothing. */
static void interrupt(struct nlmsghdr *nlh, size_t len)
{
	for (int left = (int)len; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_type != NLMSG_DONE || lost.interrupted == 0)
			continue;
		if (lost.undisturbed > 0) {
			lost.undisturbed--;
			continue;
		}
		nlh->nlmsg_flags |= NLM_F_DUMP_INTR;
		lost.interrupted--;
		if (lost.meanwhile)
			run(lost.meanwhile);
		lost.meanwhile = NULL;
	}
}

/* As when the kernel finds no room for the answer: it is there all the same, or it is not. */
ssize_t __wrap_recvmsg(int fd, struct msghdr *mh, int flags)
{
	ssize_t n;

	if (++lost.n == lost.failing) {
		errno = ENOBUFS;
		return -1;
	}
	n = __real_recvmsg(fd, mh, flags);
	if (n > 0)
		interrupt(mh->msg_iov->iov_base, (size_t)n);
	return n;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int size = SMALLEST;

	if (lost.small_buffers && level == SOL_SOCKET && name == SO_RCVBUFFORCE) {
		value = &size;
		len = sizeof(size);
	}
	return __real_setsockopt(fd, level, name, value, len);
}

/* ---- answers ---- */

/* Each question has its own answer. */
static void assert_in_step(struct rtnl *rtnl)
{
	struct rtnl_link_state link = { 0 };

	assert_int_equal(rtnl_set_link_up(rtnl, NO_LINK, true), -ENODEV);
	assert_int_equal(rtnl_get_link(rtnl, STATE_LINK, &link), 0);
	assert_string_equal(link.name, STATE_LINK);
	assert_int_equal(rtnl_get_link(rtnl, "nope", &link), -ENODEV);
	assert_int_equal(rtnl_find_marked_link(rtnl, 0, &link), -ENODEV);
}

static void test_lost_answers(void **state)
{
	struct rtnl *rtnl = *state;
	struct rtnl_link_state link;
	unsigned n = 0;
	int r;

	do {
		assert_int_equal(rtnl_state_clear(rtnl), 0);
		lost.n = 0;
		lost.failing = ++n;
		r = rtnl_find_marked_link(rtnl, 0, &link);
		assert_true(r == -ENODEV || r == -ENOBUFS);
		r = rtnl_state_make(rtnl, NULL);
		assert_true(r == 0 || r == -ENOBUFS);
		lost.failing = 0;
		assert_in_step(rtnl);
		assert_int_equal(rtnl_state_make(rtnl, NULL), 0);
		rtnl_state_assert();
	} while (lost.n >= n && n < 1000);
	print_message("%u receives, each of which failed\n", n - 1);
	assert_in_range(n, 10, 999);
}

/* ---- dumps ---- */

/* Each sees what is gone by the time it is repeated: that has to be made again. */
static void test_interrupted_dumps(void **state)
{
	/* In the order of the dumps. */
	static const char *const gone[] = {
		"ip addr del 100.64.0.1/32 dev " STATE_LINK,
		"ip -6 addr del fd00:1::1/128 dev " STATE_LINK,
		"ip route del 10.1.0.0/16 proto 201",
		"ip -6 route del 2001:db8:1::/64 proto 201",
		"ip route del unreachable 100.64.0.0/10 proto 202",
		"ip -6 route del unreachable fd00:1::/48 proto 202",
	};
	struct rtnl *rtnl = *state;

	assert_int_equal(rtnl_state_make(rtnl, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
		struct rtnl_changes changes = { 0 };

		lost.undisturbed = (unsigned)i;
		lost.interrupted = 3;
		lost.meanwhile = gone[i];
		assert_int_equal(rtnl_state_make(rtnl, &changes), 0);
		assert_int_equal(lost.interrupted, 0);
		assert_true(changes.added > 0);
		assert_int_equal(changes.removed, 0);
		rtnl_state_assert();
	}
}

static void test_dumps_without_end(void **state)
{
	struct rtnl *rtnl = *state;
	struct rtnl_link_state link;

	lost.interrupted = 1000;
	assert_int_equal(rtnl_find_marked_link(rtnl, 0, &link), -EBUSY);
	assert_int_equal(rtnl_state_make(rtnl, NULL), -EBUSY);
	assert_in_range(lost.interrupted, 900, 999);
	lost.interrupted = 0;
	assert_in_step(rtnl);
}

/* ---- news ---- */

static void test_lost_news_of_the_link(void **state)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(rtnl_watch_freep) struct rtnl_watch *watch = NULL;
	struct foreign foreign = { 0 };
	struct rtnl *rtnl = *state;

	assert_int_equal(sd_event_new(&event), 0);
	lost.small_buffers = true;
	assert_int_equal(rtnl_watch_new(event, STATE_LINK, rtnl_portid(rtnl), note_foreign,
					&foreign, &watch),
			 0);
	lost.small_buffers = false;
	settle(event);
	foreign = (struct foreign){ 0 };
	/* None of these would be told: whether one was among them nobody knows. */
	run("for i in 1 2 3 4 5 6 7 8 9 10; do ip link add other$i type veth peer name more$i; "
	    "done");
	settle(event);
	assert_string_equal(foreign.what, "news of link " STATE_LINK " were lost");
	foreign = (struct foreign){ 0 };
	run("for i in 1 2 3 4 5 6 7 8 9 10; do ip link del other$i; done");
	run("ip link set " STATE_LINK " mtu 1300");
	settle(event);
	assert_true(foreign.n > 0);
}

static char *list_table(void)
{
	return output_of("nft -s list table inet peergate");
}

static struct nft_changes apply(struct nft *nft, const struct netmap *map)
{
	_cleanup_(filter_table_freep) struct filter_table *old = NULL;
	_cleanup_free_ char *error = NULL;
	struct filter_table *wanted = NULL;
	struct nft_changes changes = { 0 };

	assert_int_equal(filter_compile(map, NOW, &wanted, &error), 0);
	if (nft_apply(nft, wanted, true, &changes, &old, &error) < 0)
		fail_msg("%s", error);
	return changes;
}

/* What was missed is found by looking at all of it. */
static void test_lost_news_of_the_table(void **state)
{
	static const struct nft_config config = { .ifname = STATE_LINK, .gateway_port = 2022 };
	_cleanup_free_ char *text = golden_read("api/map.json"), *error = NULL, *good = NULL,
			    *mended = NULL;
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	struct foreign foreign = { 0 };
	struct nft *nft = NULL;

	assert_int_equal(netmap_parse(text, strlen(text), "m", &error, &map), 0);
	assert_int_equal(sd_event_new(&event), 0);
	lost.small_buffers = true;
	assert_int_equal(nft_open(event, &config, &nft), 0);
	lost.small_buffers = false;
	nft_on_foreign_change(nft, note_foreign, &foreign);
	(void)apply(nft, map);
	good = list_table();
	settle(event);
	(void)apply(nft, map);
	foreign = (struct foreign){ 0 };
	/* First what nobody is told of then. */
	run("(i=0; while [ $i -lt 200 ]; do echo add table inet t$i; i=$((i + 1)); done; "
	    "echo flush map inet peergate src4) | nft -f -");
	settle(event);
	assert_string_equal(foreign.what, "news of table inet peergate were lost");
	assert_true(apply(nft, map).elements_added > 0);
	mended = list_table();
	assert_string_equal(mended, good);
	nft_free(nft);
}

/* ---- */

static int setup(void **state)
{
	struct rtnl *rtnl = NULL;

	run("ip link add " STATE_LINK " type veth peer name far0");
	if (rtnl_open(&rtnl) < 0)
		return -1;
	*state = rtnl;
	return 0;
}

static int teardown(void **state)
{
	memset(&lost, 0, sizeof(lost));
	rtnl_free(*state);
	run("ip link del " STATE_LINK "; nft flush ruleset");
	return 0;
}

#define LOST_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOST_TEST(test_lost_answers),		LOST_TEST(test_interrupted_dumps),
		LOST_TEST(test_dumps_without_end),	LOST_TEST(test_lost_news_of_the_link),
		LOST_TEST(test_lost_news_of_the_table),
	};

	if (!netns_enter())
		return NETNS_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
