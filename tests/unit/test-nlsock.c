/*
 * Requests to a real kernel: answers in many messages, dumps that another's change interrupts, and
 * a socket that is good for the next request whatever became of the last. Needs root.
 */
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/netlink/nlsock.h"
#include "agent/nft/batch.h"
#include "tests/unit/netns.h"

#define N_RULES 4000

struct count {
	unsigned rules, restarts;
};

static int take(const struct nlmsghdr *nlh, void *userdata)
{
	struct count *count = userdata;

	count->rules++;
	return 0;
}

static void start_again(void *userdata)
{
	struct count *count = userdata;

	count->restarts++;
	count->rules = 0;
}

static struct nlmsghdr *put_request(char *buf)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nfg->nfgen_family = NFPROTO_INET;
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, "t");
	return nlh;
}

static int dump(struct nlsock *sock, struct count *count)
{
	char buf[256] = { 0 };

	*count = (struct count){ 0 };
	return nlsock_request(sock, put_request(buf), take, start_again, count);
}

static int make_rules(void **state)
{
	run("(echo 'add table inet t; add chain inet t c'; i=0; "
	    "while [ $i -lt 4000 ]; do echo add rule inet t c counter; i=$((i + 1)); done) | nft "
	    "-f -");
	return 0;
}

static void test_many_messages(void **state)
{
	_cleanup_(nlsock_freep) struct nlsock *sock = NULL;
	struct count count;

	assert_int_equal(nlsock_open(NETLINK_NETFILTER, &sock), 0);
	assert_int_equal(dump(sock, &count), 0);
	assert_int_equal(count.rules, N_RULES);
	assert_int_equal(count.restarts, 0);
}

/* Changes another table, over and over. */
static _Noreturn void disturb(void)
{
	struct nlsock *sock;
	char *text = NULL;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (nlsock_open(NETLINK_NETFILTER, &sock) < 0)
		_exit(1);
	for (unsigned i = 0;; i++) {
		struct nft_batch *batch;
		uint16_t type = i % 2 ? NFT_MSG_DELTABLE : NFT_MSG_NEWTABLE;
		struct nlmsghdr *nlh;

		if (nft_batch_new(sock, &batch) < 0)
			_exit(1);
		nlh = nft_batch_message(batch, type, i % 2 ? 0 : NLM_F_CREATE, "table u");
		mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, "u");
		nft_batch_end_message(batch);
		if (nft_batch_commit(batch, &text) < 0)
			_exit(2);
		nft_batch_free(batch);
	}
}

static void test_interrupted(void **state)
{
	_cleanup_(nlsock_freep) struct nlsock *sock = NULL;
	unsigned restarts = 0, given_up = 0;
	struct count count;
	int status, r;
	pid_t pid;

	assert_int_equal(nlsock_open(NETLINK_NETFILTER, &sock), 0);
	pid = fork();
	if (pid == 0)
		disturb();
	for (int i = 0; i < 500 && (restarts == 0 || i < 5); i++) {
		r = dump(sock, &count);
		restarts += count.restarts;
		given_up += r == -EBUSY;
		if (r != -EBUSY) {
			assert_int_equal(r, 0);
			assert_int_equal(count.rules, N_RULES);
		}
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	print_message("%u dumps interrupted, %u given up\n", restarts, given_up);
	assert_true(restarts > 0);
	/* Nothing of that is left in the queue. */
	assert_int_equal(dump(sock, &count), 0);
	assert_int_equal(count.rules, N_RULES);
}

static int fail_at_second(const struct nlmsghdr *nlh, void *userdata)
{
	struct count *count = userdata;

	return ++count->rules == 2 ? -E2BIG : 0;
}

/* A request that ends in the middle leaves nothing behind for the next. */
static void test_broken_off(void **state)
{
	_cleanup_(nlsock_freep) struct nlsock *sock = NULL;
	char buf[256] = { 0 };
	struct count count = { 0 };

	assert_int_equal(nlsock_open(NETLINK_NETFILTER, &sock), 0);
	assert_int_equal(nlsock_request(sock, put_request(buf), fail_at_second, NULL, &count),
			 -E2BIG);
	assert_int_equal(count.rules, 2);
	assert_int_equal(dump(sock, &count), 0);
	assert_int_equal(count.rules, N_RULES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_messages),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_broken_off),
	};

	if (!netns_enter())
		return NETNS_SKIP;
	return cmocka_run_group_tests(tests, make_rules, NULL);
}
