/* Traps of SSH rules. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/force_command.h"
#include "coord/policy/decide.h"
#include "coord/policy/lint.h"
#include "coord/policy/ports.h"

#define SSH_PORT 22

/* --- the rules for themselves */

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void check_login(struct lint *lint, const struct login_name *login)
{
	if (has_prefix(login->name, "localpart:"))
		lint_warn(lint, login->at,
			  "\"%s\" is taken as the name of an account; for local parts of logins "
			  "write "
			  "\"localpart:*@example.com\"",
			  login->name);
	else if (has_prefix(login->name, "group:") || has_prefix(login->name, "tag:") ||
		 has_prefix(login->name, "autogroup:") || strchr(login->name, '@'))
		lint_warn(lint, login->at,
			  "\"%s\" is taken as the name of an account; \"users\" lists accounts of "
			  "the "
			  "destination, such as \"root\", or autogroup:nonroot",
			  login->name);
}

static bool has_tag_dst(const struct policy *p, const struct ssh_rule_model *rule)
{
	for (size_t i = 0; i < rule->n_dst; i++) {
		enum selector_kind kind = entry_selector(p, &rule->dst[i])->kind;

		if (kind == SEL_TAG || kind == SEL_TAGGED)
			return true;
	}
	return false;
}

/* What a rule for sftp only lets in beside files, and whom. */
static void check_sftp_only(struct lint *lint, const struct ssh_rule_model *rule)
{
	if (!rule->says_forwarding)
		lint_warn(lint, rule->force_command_at,
			  "the rule is for sftp only, but does not say what may be forwarded, and "
			  "so everything may; write \"forwarding\": {\"agent\": false, \"local\": "
			  "false, \"remote\": false}");
	if (rule->nonroot)
		lint_warn(lint, rule->nonroot_at,
			  "for sftp only, autogroup:nonroot is also every account whose shell "
			  "refuses logins, such as those of services; list the accounts that are "
			  "meant");
}

static void check_nonroot(struct lint *lint, const struct ssh_rule_model *rule)
{
	if (rule->nonroot && has_tag_dst(lint->e->policy, rule))
		lint_warn(lint, rule->nonroot_at,
			  "autogroup:nonroot on tagged nodes is every account but root, also "
			  "those of services and of other people; list the accounts that are "
			  "meant");
}

static void check_rule(struct lint *lint, const struct ssh_rule_model *rule)
{
	for (size_t k = 0; k < rule->n_logins; k++)
		check_login(lint, &rule->logins[k]);
	if (force_command_is_sftp(rule->force_command))
		check_sftp_only(lint, rule);
	else
		check_nonroot(lint, rule);
	if (rule->n_localparts && has_tag_dst(lint->e->policy, rule))
		lint_warn(lint, rule->localparts[0].at,
			  "with localpart: the rule also lets its sources log in on their own "
			  "nodes; write a rule for autogroup:self if that is meant, or list "
			  "accounts");
	if (rule->check_period && rule->action == POLICY_SSH_ACCEPT)
		lint_warn(lint, rule->check_period_at,
			  "checkPeriod has no effect with \"accept\"; write \"check\", or leave it "
			  "out");
}

void lint_ssh_rules(struct lint *lint)
{
	const struct policy *p = lint->e->policy;

	for (size_t i = 0; i < p->n_ssh; i++)
		check_rule(lint, &p->ssh[i]);
}

/* --- port 22 and SSH rules belong together */

struct pairing {
	struct policy_engine *e;
	struct bit_matrix filter; /* destination class x source class: tcp/22 passes */
	struct bit_matrix ssh;	  /* ...an SSH rule goes there */
};

static bool opens_22(const struct net_rule *rule, const struct port_list *ports)
{
	return rule_has_proto(rule, IPPROTO_TCP) && ports_contain(ports, SSH_PORT);
}

static void pair_by_filter(struct pairing *pr, uint32_t dst)
{
	const struct policy_engine *e = pr->e;

	for (size_t i = 0; i < e->n_rules; i++) {
		const struct engine_rule *rule = &e->rules[i];

		if (!bit_get(&e->dst, i, dst))
			continue;
		for (size_t k = 0; k < rule->n_dst; k++) {
			if (!opens_22(rule->rule, &rule->dst[k].entry->ports) ||
			    !dst_hits(e, &rule->dst[k], dst))
				continue;
			bits_or(bit_row(&pr->filter, dst), bit_row(&e->touch, rule->set),
				e->see.stride);
			break;
		}
	}
}

static int pair_all(struct pairing *pr)
{
	const struct policy_engine *e = pr->e;

	if (bit_matrix_resize(&pr->filter, e->n_classes, e->see.stride) < 0 ||
	    bit_matrix_resize(&pr->ssh, e->n_classes, e->see.stride) < 0)
		return -1;
	for (uint32_t dst = 0; dst < e->n_classes; dst++) {
		pair_by_filter(pr, dst);
		for (size_t i = 0; i < e->n_ssh; i++)
			if (bit_get(&e->ssh_dst, i, dst))
				bits_or(bit_row(&pr->ssh, dst), bit_row(&e->member, e->ssh[i].set),
					e->see.stride);
	}
	return 0;
}

static bool self_opens_22(const struct policy_engine *e, uint32_t class)
{
	for (size_t i = 0; i < e->n_rules; i++)
		if (e->rules[i].self && opens_22(e->rules[i].rule, &e->rules[i].self->ports) &&
		    set_has_self(e, e->rules[i].set, class))
			return true;
	return false;
}

struct tally {
	bool some, missing;
};

static void count_words(struct tally *t, const uint64_t *wanted, const uint64_t *there, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		t->some |= (wanted[i] & there[i]) != 0;
		t->missing |= (wanted[i] & ~there[i]) != 0;
	}
}

static void check_ssh_rule(struct lint *lint, const struct pairing *pr, size_t i)
{
	const struct policy_engine *e = pr->e;
	const struct engine_ssh_rule *rule = &e->ssh[i];
	struct tally t = { 0 };

	for (uint32_t class = 0; class < e->n_classes; class ++) {
		if (bit_get(&e->ssh_dst, i, class))
			count_words(&t, bit_row(&e->member, rule->set), bit_row(&pr->filter, class),
				    e->see.stride);
		if (rule->self && e->classes[class].nodes.n &&
		    bit_get(&e->member, rule->set, class)) {
			bool open = bit_get(&pr->filter, class, class) || self_opens_22(e, class);

			t.some |= open;
			t.missing |= !open;
		}
	}
	if (t.missing)
		lint_warn(lint, rule->rule->at,
			  "no rule of acls or grants lets %s of this SSH rule reach port 22 of %s; "
			  "add "
			  "one for tcp 22",
			  t.some ? "some sources" : "the sources",
			  t.some ? "some destinations" : "the destinations");
}

static bool names_22(const struct net_rule *rule, const struct port_list *ports)
{
	for (size_t i = 0; rule_has_proto(rule, IPPROTO_TCP) && i < ports->n; i++)
		if (ports->items[i].first == SSH_PORT && ports->items[i].last == SSH_PORT)
			return true;
	return false;
}

static bool has_node_dst(const struct policy_engine *e, const struct engine_rule *rule)
{
	for (size_t i = 0; i < rule->n_dst; i++)
		if (names_22(rule->rule, &rule->dst[i].entry->ports) &&
		    rule->dst[i].kind != SEL_INTERNET && rule->dst[i].kind != SEL_RANGES &&
		    rule->dst[i].kind != SEL_ANY)
			return true;
	return false;
}

/* A rule that names port 22 and nodes, while no SSH rule goes from any source to any of these. */
static void check_net_rule(struct lint *lint, const struct pairing *pr, size_t i)
{
	const struct policy_engine *e = pr->e;
	const struct engine_rule *rule = &e->rules[i];
	struct tally t = { 0 };

	if (!has_node_dst(e, rule))
		return;
	for (uint32_t class = 0; class < e->n_classes; class ++)
		if (bit_get(&e->dst, i, class))
			count_words(&t, bit_row(&e->touch, rule->set), bit_row(&pr->ssh, class),
				    e->see.stride);
	if (t.missing && !t.some)
		lint_warn(lint, rule->rule->at,
			  "the rule opens port 22, but no SSH rule goes from its sources to its "
			  "destinations: where the mesh's SSH server is on, nobody gets in by it; "
			  "add an "
			  "SSH rule");
}

void lint_port_22(struct lint *lint)
{
	struct policy_engine *e = lint->e;
	struct pairing pr = { .e = e };

	if (!e->n_ssh)
		return;
	if (pair_all(&pr) < 0)
		lint->no_memory = true;
	for (size_t i = 0; !lint->no_memory && i < e->n_ssh; i++)
		check_ssh_rule(lint, &pr, i);
	for (size_t i = 0; !lint->no_memory && i < e->n_rules; i++)
		check_net_rule(lint, &pr, i);
	bit_matrix_done(&pr.filter);
	bit_matrix_done(&pr.ssh);
}
