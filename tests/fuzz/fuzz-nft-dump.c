/*
 * The table as a kernel reports it: read, compared and asked, whatever it holds. libnftnl ends the
 * process over a message of the wrong shape, so that these are well-formed messages, put together
 * from the input: names, keys, data, flags and comments are whatever it says.
 *
 * Input: for each request records, up to one that ends it. A record is a byte, what it is, and its
 * fields: numbers of one byte, and strings with a byte of length in front.
 */
#include <netinet/in.h> /* before the kernel headers that libnftnl includes */

#include <errno.h>
#include <stdio.h>

#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/filter/diff.h"
#include "agent/nft/layout.h"
#include "agent/nft/observe.h"

enum record {
	RECORD_DONE,
	RECORD_INTERRUPTED,
	RECORD_ERROR,
	RECORD_OBJECT,
	N_RECORDS,
};

#define ELSEWHERE    1u /* bit of "where": another program's table */
#define BASE_CHAIN   2u
#define MAX_KEY	     32
#define MESSAGE_SIZE 8192

static struct {
	const uint8_t *data;
	size_t len;
} input;

int __wrap_nlsock_request(struct nlsock *sock, struct nlmsghdr *nlh, nlsock_answer_fn fn,
			  void (*restart)(void *userdata), void *userdata);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t get(void)
{
	if (input.len == 0)
		return 0;
	input.len--;
	return *input.data++;
}

/* Up to max bytes; a zero is behind them. */
static uint32_t get_bytes(uint8_t *bytes, uint32_t max)
{
	uint32_t len = get();

	if (len > max)
		len = max;
	if (len > input.len)
		len = (uint32_t)input.len;
	memcpy(bytes, input.data, len);
	bytes[len] = 0;
	input.data += len;
	input.len -= len;
	return len;
}

static const char *get_name(char *buf)
{
	get_bytes((uint8_t *)buf, NFT_NAME_MAXLEN - 1);
	return buf;
}

static const char *get_table(uint8_t where)
{
	return where & ELSEWHERE ? "other" : NFT_TABLE;
}

static void answer_table(struct nlmsghdr *nlh)
{
	struct nftnl_table *table = nftnl_table_alloc();
	uint8_t bytes[256];
	uint32_t len;

	nftnl_table_set_str(table, NFTNL_TABLE_NAME, NFT_TABLE);
	nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, get());
	mnl_attr_put_u32(nlh, NFTA_TABLE_OWNER, get());
	len = get_bytes(bytes, 255);
	nftnl_table_set_data(table, NFTNL_TABLE_USERDATA, bytes, len);
	nftnl_table_nlmsg_build_payload(nlh, table);
	nftnl_table_free(table);
}

static void answer_chain(struct nlmsghdr *nlh)
{
	struct nftnl_chain *chain = nftnl_chain_alloc();
	char name[NFT_NAME_MAXLEN];
	uint8_t where = get(), bytes[256];
	uint32_t len;

	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, get_table(where));
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, get_name(name));
	if (where & BASE_CHAIN) {
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, get());
		nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, (int8_t)get());
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, get());
		nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, get_name(name));
	}
	len = get_bytes(bytes, 255);
	nftnl_chain_set_data(chain, NFTNL_CHAIN_USERDATA, bytes, len);
	nftnl_chain_nlmsg_build_payload(nlh, chain);
	nftnl_chain_free(chain);
}

static void add_expr(struct nftnl_rule *rule)
{
	static const char *const names[] = { "counter", "immediate", "cmp", "meta" };
	uint8_t kind = get() % ARRAY_SIZE(names), bytes[MAX_KEY + 1];
	struct nftnl_expr *expr = nftnl_expr_alloc(names[kind]);
	uint32_t len;

	switch (kind) {
	case 1:
		nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
		nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, get());
		break;
	case 2:
		nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
		nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, get());
		len = get_bytes(bytes, MAX_KEY);
		nftnl_expr_set(expr, NFTNL_EXPR_CMP_DATA, bytes, len);
		break;
	case 3:
		nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, get());
		nftnl_expr_set_u32(expr, get() & 1 ? NFTNL_EXPR_META_SREG : NFTNL_EXPR_META_DREG,
				   NFT_REG_1);
		break;
	}
	nftnl_rule_add_expr(rule, expr);
}

static void answer_rule(struct nlmsghdr *nlh)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();
	char name[NFT_NAME_MAXLEN];
	uint8_t bytes[256];
	uint32_t len;

	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, get_table(get()));
	nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, get_name(name));
	for (unsigned n = get() % 8; n > 0; n--)
		add_expr(rule);
	len = get_bytes(bytes, 255);
	if (len > 0)
		nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, bytes, len);
	nftnl_rule_nlmsg_build_payload(nlh, rule);
	nftnl_rule_free(rule);
}

static void answer_set(struct nlmsghdr *nlh)
{
	struct nftnl_set *set = nftnl_set_alloc();
	char name[NFT_NAME_MAXLEN];
	uint8_t bytes[256];
	uint32_t len;

	nftnl_set_set_str(set, NFTNL_SET_TABLE, get_table(get()));
	nftnl_set_set_str(set, NFTNL_SET_NAME, get_name(name));
	nftnl_set_set_u32(set, NFTNL_SET_FLAGS, get());
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, get());
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, get());
	len = get_bytes(bytes, 255);
	nftnl_set_set_data(set, NFTNL_SET_USERDATA, bytes, len);
	nftnl_set_nlmsg_build_payload(nlh, set);
	nftnl_set_free(set);
}

static void fill_element(struct nftnl_set_elem *elem)
{
	uint8_t has = get(), bytes[256];
	char name[NFT_NAME_MAXLEN];
	uint32_t len;

	len = get_bytes(bytes, MAX_KEY);
	nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY, bytes, len);
	if (has & 1) {
		len = get_bytes(bytes, MAX_KEY);
		nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY_END, bytes, len);
	}
	if (has & 2) {
		len = get_bytes(bytes, MAX_KEY);
		nftnl_set_elem_set(elem, NFTNL_SET_ELEM_DATA, bytes, len);
	} else if (has & 4) {
		nftnl_set_elem_set_u32(elem, NFTNL_SET_ELEM_VERDICT, (uint32_t) - (int)get());
		nftnl_set_elem_set_str(elem, NFTNL_SET_ELEM_CHAIN, get_name(name));
	}
	if (has & 8)
		nftnl_set_elem_set_u32(elem, NFTNL_SET_ELEM_FLAGS, get());
	if (has & 16)
		nftnl_set_elem_set_u64(elem, NFTNL_SET_ELEM_TIMEOUT, get());
	if (has & 32) {
		len = get_bytes(bytes, 255);
		if (len > 0)
			nftnl_set_elem_set(elem, NFTNL_SET_ELEM_USERDATA, bytes, len);
	}
}

static void answer_elements(struct nlmsghdr *nlh)
{
	struct nftnl_set *set = nftnl_set_alloc();

	nftnl_set_set_str(set, NFTNL_SET_TABLE, NFT_TABLE);
	nftnl_set_set_str(set, NFTNL_SET_NAME, "x");
	for (unsigned n = 1 + get() % 8; n > 0; n--) {
		struct nftnl_set_elem *elem = nftnl_set_elem_alloc();

		fill_element(elem);
		nftnl_set_elem_add(set, elem);
	}
	nftnl_set_elems_nlmsg_build_payload(nlh, set);
	nftnl_set_free(set);
}

static const struct {
	uint16_t request, answer;
	void (*build)(struct nlmsghdr *nlh);
} answers[] = {
	{ NFT_MSG_GETTABLE, NFT_MSG_NEWTABLE, answer_table },
	{ NFT_MSG_GETCHAIN, NFT_MSG_NEWCHAIN, answer_chain },
	{ NFT_MSG_GETRULE, NFT_MSG_NEWRULE, answer_rule },
	{ NFT_MSG_GETSET, NFT_MSG_NEWSET, answer_set },
	{ NFT_MSG_GETSETELEM, NFT_MSG_NEWSETELEM, answer_elements },
};

static int answer(uint16_t request, nlsock_answer_fn fn, void *userdata)
{
	struct nlmsghdr *nlh;
	char *buf;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		if ((request & 0xff) != answers[i].request)
			continue;
		buf = malloc(MESSAGE_SIZE);
		nlh = nftnl_nlmsg_build_hdr(buf, answers[i].answer, NFPROTO_INET, 0, 1);
		answers[i].build(nlh);
		buf = realloc(buf, nlh->nlmsg_len); /* what is read beyond is noticed */
		r = fn((struct nlmsghdr *)buf, userdata);
		free(buf);
	}
	return r;
}

int __wrap_nlsock_request(struct nlsock *sock, struct nlmsghdr *nlh, nlsock_answer_fn fn,
			  void (*restart)(void *userdata), void *userdata)
{
	int r = 0;

	while (input.len > 0 && r == 0)
		switch ((enum record)(get() % N_RECORDS)) {
		case RECORD_INTERRUPTED:
			if (restart)
				restart(userdata);
			break;
		case RECORD_ERROR:
			r = get();
			return r == 0 ? -ENOENT : -r;
		case RECORD_OBJECT:
			r = answer(nlh->nlmsg_type, fn, userdata);
			break;
		case RECORD_DONE:
		case N_RECORDS:
			return 0;
		}
	return r;
}

/* To the empty table and back: what a repair works with. */
static void compare(const struct filter_table *table)
{
	static const struct filter_table empty;
	struct filter_diff diff;

	if (filter_diff_build(table, &empty, &diff) == 0)
		filter_diff_done(&diff);
	if (filter_diff_build(&empty, table, &diff) == 0)
		filter_diff_done(&diff);
	if (filter_diff_build(table, table, &diff) < 0 || !filter_diff_empty(&diff))
		abort();
	filter_diff_done(&diff);
}

static void ask(const struct filter_table *table)
{
	static const struct ip_addr src = { AF_INET, { 100, 64, 0, 2 } };
	static const struct ip_addr dst = { AF_INET, { 100, 64, 0, 1 } };

	(void)filter_table_allows(table, &src, &dst, IPPROTO_TCP, 22, NULL);
	for (size_t i = 0; i < table->n_exact && i < 4; i++)
		(void)filter_table_allows(table, &table->exact[i].first, &dst, IPPROTO_TCP, 22,
					  NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nft_observed observed;

	input.data = data;
	input.len = size;
	if (nft_observe(NULL, &observed) < 0)
		return 0;
	if (!observed.structure != !observed.table)
		abort();
	if (observed.table) {
		compare(observed.table);
		ask(observed.table);
	}
	nft_observed_done(&observed);
	return 0;
}
