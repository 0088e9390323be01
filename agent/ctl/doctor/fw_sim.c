/*
 * What chains would do to a packet, as far as that can be told. A match is yes, no, or perhaps;
 * rules that match perhaps are counted on both sides: the answer is what happens if none of them
 * does, and whether that is certain.
 */
#include "agent/ctl/doctor/fw_sim.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#define MAX_DEPTH 17 /* NFT_JUMP_STACK_SIZE of the kernel, and one */
/* Chains may jump to the same chains again and again: no longer than this is looked at. */
#define MAX_STEPS 500000u

/* What may happen, as bits. */
enum {
	GO_ON = 1 << 0,	 /* to the next rule; of a chain: back to where it was jumped from */
	RETURN = 1 << 1, /* the chain ends */
	ACCEPT = 1 << 2,
	DROP = 1 << 3,
	DIVERT = 1 << 4,
	LEAVE = 1 << 5,
	ANYTHING = 0x3f,
};

struct outcome {
	unsigned may;  /* all that can happen */
	unsigned sure; /* the one that does if nothing matches that perhaps matches */
	const struct fw_chain *at;
};

static struct outcome simple(unsigned what, const struct fw_chain *at)
{
	return (struct outcome){ .may = what, .sure = what, .at = at };
}

static struct outcome anything(const struct fw_chain *at)
{
	return (struct outcome){ .may = ANYTHING, .sure = LEAVE, .at = at };
}

static struct outcome eval_chain(struct fw_sim *sim, const struct fw_chain *chain, int depth);

static unsigned go_on_to_return(unsigned bits)
{
	return bits & GO_ON ? (bits & ~(unsigned)GO_ON) | RETURN : bits;
}

static struct outcome go_to(struct fw_sim *sim, const struct fw_expr *verdict,
			    const struct fw_chain *chain, int depth)
{
	const struct fw_chain *to = NULL;
	struct outcome outcome;

	if (verdict->name)
		to = fw_find_chain(sim->fw, chain->family, chain->table, verdict->name);
	if (!to)
		return anything(chain);
	outcome = eval_chain(sim, to, depth + 1);
	if ((int)verdict->key == NFT_GOTO) {
		outcome.may = go_on_to_return(outcome.may);
		outcome.sure = go_on_to_return(outcome.sure);
	}
	return outcome;
}

static struct outcome follow(struct fw_sim *sim, const struct fw_expr *verdict,
			     const struct fw_chain *chain, int depth)
{
	switch ((int)verdict->key) {
	case NF_ACCEPT:
		return simple(ACCEPT, chain);
	case NF_DROP:
		return simple(DROP, chain);
	case NFT_CONTINUE:
		return simple(GO_ON, chain);
	case NFT_RETURN:
		return simple(RETURN, chain);
	case NFT_JUMP:
	case NFT_GOTO:
		return go_to(sim, verdict, chain, depth);
	default: /* to a program, or what is yet to be invented */
		return anything(chain);
	}
}

/* Return: false if the expression decides nothing. */
static bool decides(struct fw_sim *sim, const struct fw_expr *expr, const struct fw_chain *chain,
		    const struct fw_element *element, int depth, struct outcome *outcome)
{
	if (expr->kind == FW_VERDICT)
		*outcome = follow(sim, expr, chain, depth);
	else if (expr->kind == FW_DROP)
		*outcome = simple(DROP, chain);
	else if (expr->kind == FW_DIVERT)
		*outcome = simple(DIVERT, chain);
	else if (expr->kind == FW_LEAVE)
		*outcome = simple(LEAVE, chain);
	else if (expr->kind == FW_LOOKUP && expr->dreg == NFT_REG_VERDICT)
		*outcome = element && element->has_verdict
				   ? follow(sim, &element->verdict, chain, depth)
				   : anything(chain);
	else
		return false;
	return true;
}

static struct outcome eval_rule(struct fw_sim *sim, const struct fw_chain *chain,
				const struct fw_rule *rule, int depth)
{
	struct outcome outcome = simple(GO_ON, chain);
	enum fw_match match = FW_YES;
	struct fw_bytes regs = { 0 };

	for (size_t i = 0; i < rule->n_exprs; i++) {
		const struct fw_element *element = NULL;
		enum fw_match one = fw_match_expr(sim, chain, &rule->exprs[i], &regs, &element);

		if (one == FW_NO)
			return simple(GO_ON, chain);
		if (one < match)
			match = one;
		if (decides(sim, &rule->exprs[i], chain, element, depth, &outcome))
			break;
	}
	if (match == FW_PERHAPS) {
		outcome.may |= GO_ON;
		outcome.sure = GO_ON;
	}
	return outcome;
}

static struct outcome eval_chain(struct fw_sim *sim, const struct fw_chain *chain, int depth)
{
	struct outcome all = simple(GO_ON, chain);
	unsigned may = 0;

	if (depth > MAX_DEPTH)
		return anything(chain);
	for (size_t i = 0; i < chain->n_rules; i++) {
		struct outcome one;

		if (sim->steps++ > MAX_STEPS)
			return anything(chain);
		one = eval_rule(sim, chain, &chain->rules[i], depth);
		may |= one.may & ~(unsigned)GO_ON;
		if (all.sure == GO_ON && one.sure != GO_ON) {
			all.sure = one.sure;
			all.at = one.at;
		}
		if (!(one.may & GO_ON))
			break;
		if (i + 1 == chain->n_rules)
			may |= RETURN;
	}
	if (chain->n_rules == 0)
		may |= RETURN;
	/* Whoever jumped here goes on. */
	all.may = may & RETURN ? (may & ~(unsigned)RETURN) | GO_ON : may;
	if (all.sure == RETURN)
		all.sure = GO_ON;
	return all;
}

static enum fw_fate fate_of(unsigned sure)
{
	switch (sure) {
	case ACCEPT:
		return FW_ACCEPTED;
	case DROP:
		return FW_DROPPED;
	case DIVERT:
		return FW_DIVERTED;
	default:
		return FW_UNDECIDED;
	}
}

static bool comes_by(const struct fw_chain *base, const struct fw_packet *packet)
{
	uint8_t family = packet->family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
	const char *device = packet->hook == FW_EGRESS ? packet->oif : packet->iif;

	if (!base->base || base->hook != packet->hook)
		return false;
	if (base->device && device && strcmp(base->device, device) != 0)
		return false;
	return base->family == NFPROTO_INET || base->family == NFPROTO_NETDEV ||
	       base->family == family;
}

bool fw_ask(const struct fw *fw, const struct fw_chain *base, const struct fw_packet *packet,
	    struct fw_answer *ret_answer)
{
	struct outcome outcome;
	struct fw_sim sim;
	unsigned policy = base->drops ? DROP : ACCEPT;
	bool by_policy;

	if (!comes_by(base, packet))
		return false;
	fw_sim_init(&sim, fw, packet);
	outcome = eval_chain(&sim, base, 0);
	if (outcome.may & GO_ON)
		outcome.may = (outcome.may & ~(unsigned)GO_ON) | policy;
	by_policy = outcome.sure == GO_ON;
	*ret_answer = (struct fw_answer){
		.fate = fate_of(by_policy ? policy : outcome.sure),
		.certain = (outcome.may & (outcome.may - 1)) == 0 && outcome.may != LEAVE,
		.base = base,
		.at = by_policy ? base : outcome.at,
		.by_policy = by_policy,
	};
	return true;
}
