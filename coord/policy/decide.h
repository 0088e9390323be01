/* Single questions: may this packet pass, may this login? With the rule that says so. */
#pragma once

#include "coord/policy/engine.h"

/* One end of a connection. */
struct net_end {
	struct range addr; /* a single address */
	uint32_t node;	   /* whose address it is; NONE: nobody's */
};

struct net_decision {
	const struct engine_rule *rule;
	const struct entry *src; /* entries of the rule that match */
	const struct dst_entry *dst;
};

struct net_question {
	const struct net_end *src, *dst; /* of one family */
	uint8_t proto;
	uint16_t port; /* 0: any port will do */
	bool no_self;  /* as if autogroup:self were not there */
};

/* The node that has the address; NONE. */
uint32_t engine_node_by_addr(const struct policy_engine *e, const struct range *addr);

/* The rule's protocols are those that it names, or the default four. */
bool rule_has_proto(const struct net_rule *rule, uint8_t proto);
/* One rule. *ret_decision is set if it does. */
bool rule_lets_in(const struct policy_engine *e, const struct engine_rule *rule,
		  const struct net_question *q, struct net_decision *ret_decision);
/* Its parts: entries that cover an end, whatever the protocol and port. */
const struct entry *rule_find_source(const struct policy_engine *e, const struct net_rule *rule,
				     const struct net_end *end);
bool rule_has_destination(const struct policy_engine *e, const struct dst_entry *dst,
			  const struct net_question *q);
/* The first rule that lets it in. */
bool net_decide(const struct policy_engine *e, const struct net_question *q,
		struct net_decision *ret_decision);

struct ssh_decision {
	const struct engine_ssh_rule *rule;
	bool same_name;	 /* by autogroup:nonroot */
	bool local_part; /* by localpart: */
};

/* The rule goes from the source node to the destination node, whatever the login. */
enum ssh_reach {
	SSH_NO_REACH,
	SSH_REACH,
	SSH_REACH_ODD, /* only by the oddity of localpart: */
};
enum ssh_reach ssh_rule_reaches(const struct policy_engine *e, size_t rule, uint32_t src,
				uint32_t dst);
/* The same for nodes of two classes; own: of one user, or one tagged node. */
enum ssh_reach ssh_rule_reaches_class(const struct policy_engine *e, size_t rule, uint32_t from,
				      uint32_t to, bool own);
/* The rule lets people from this source log in as login, if it reaches. */
bool ssh_rule_maps(const struct policy_engine *e, size_t rule, uint32_t src, const char *login,
		   struct ssh_decision *ret_decision);
/* The first rule that decides. */
bool ssh_decide(const struct policy_engine *e, uint32_t src, uint32_t dst, const char *login,
		struct ssh_decision *ret_decision);
