#include "agent/nft/rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "agent/nft/match.h"
#include "agent/nft/nft.h"

#define SSH_PORT 22

/* tcp dport 22 */
static void match_ssh_port(struct rule_build *build)
{
	uint16_t port = htons(SSH_PORT);

	match_l4proto(build, IPPROTO_TCP);
	expr_payload(build, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG_1);
	expr_cmp(build, NFT_CMP_EQ, &port, sizeof(port));
}

static int finish(struct nft_layout *layout, struct rule_build *build, const char *comment)
{
	struct nftnl_rule *rule = rule_finish(build, comment);

	return rule ? nft_layout_add_rule(layout, rule) : -ENOMEM;
}

/* limit rate 10/second log prefix "..." group 5182: what is beyond goes on to be dropped unseen */
static int log_sample(struct nft_layout *layout, const struct rule_build *build, const char *reason)
{
	struct rule_build sample = rule_copy(build);

	expr_limit(&sample, NFT_LOG_RATE);
	expr_log(&sample, NFT_LOG_GROUP, NFT_LOG_BYTES, reason);
	return finish(layout, &sample, NULL);
}

/* counter drop comment "..." */
static int finish_drop(struct nft_layout *layout, const struct nft_layout_config *config,
		       struct rule_build *build, const char *comment)
{
	if (config->log_drops && log_sample(layout, build, comment) < 0)
		build->failed = true;
	expr_counter(build);
	expr_drop(build);
	return finish(layout, build, comment);
}

/* iifname != "mesh0" iifgroup != 5182 accept: what follows is about the mesh only */
static int accept_elsewhere(struct nft_layout *layout, const struct nft_layout_config *config,
			    const char *chain, const struct side *side)
{
	struct rule_build build = rule_start(chain);

	match_elsewhere(&build, side, config);
	expr_accept(&build);
	return finish(layout, &build, NULL);
}

/* ip daddr @own4 tcp dport 22 tproxy ip to 127.0.0.1:2022 accept */
static int divert_ssh(struct nft_layout *layout, const struct nft_layout_config *config,
		      const struct family *family)
{
	struct rule_build build = rule_start("divert");
	uint16_t port = htons(config->gateway_port);

	match_own_daddr(&build, family);
	match_ssh_port(&build);
	expr_load(&build, NFT_REG_1, family->loopback, family->addr_len);
	expr_load(&build, NFT_REG_2, &port, sizeof(port));
	expr_tproxy(&build, family->nfproto, NFT_REG_1, NFT_REG_2);
	expr_accept(&build);
	return finish(layout, &build, NULL);
}

/* Where tproxy finds no listener it does not match: the packet must not go on to sshd. */
static int drop_undiverted(struct nft_layout *layout, const struct nft_layout_config *config,
			   const struct family *family)
{
	struct rule_build build = rule_start("divert");

	match_own_daddr(&build, family);
	match_ssh_port(&build);
	return finish_drop(layout, config, &build, "gateway not listening");
}

int nft_rules_divert(struct nft_layout *layout, const struct nft_layout_config *config)
{
	int r;

	if (!config->divert_ssh)
		return 0;
	r = accept_elsewhere(layout, config, "divert", &side_in);
	for (size_t i = 0; i < N_FAMILIES && r == 0; i++)
		r = divert_ssh(layout, config, &families[i]);
	for (size_t i = 0; i < N_FAMILIES && r == 0; i++)
		r = drop_undiverted(layout, config, &families[i]);
	return r;
}

/*
 * iifname != "mesh0" iifgroup != 5182 iifname != "lo" ip daddr @own4 counter drop
 *
 * Linux answers for any of its addresses on any interface; mesh addresses are for the mesh, and for
 * this host, whose own packets come in on "lo". Their source says nothing: IPv6 takes packets from
 * the wire that claim to be from this host.
 */
static int drop_weak_host(struct nft_layout *layout, const struct nft_layout_config *config,
			  const struct family *family)
{
	struct rule_build build = rule_start("input");

	match_elsewhere(&build, &side_in, config);
	match_other_name(&build, NFT_META_IIFNAME, "lo");
	match_own_daddr(&build, family);
	return finish_drop(layout, config, &build, "mesh address from elsewhere");
}

/* ct direction reply ct state established,related */
static struct rule_build start_replies(void)
{
	struct rule_build build = rule_start("input");

	match_direction(&build, IP_CT_DIR_REPLY);
	match_ct_state(&build, NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
	return build;
}

/* ... meta l4proto != udp accept */
static int accept_replies(struct nft_layout *layout)
{
	struct rule_build build = start_replies();
	uint8_t udp = IPPROTO_UDP;

	expr_meta(&build, NFT_META_L4PROTO, NFT_REG_1);
	expr_cmp(&build, NFT_CMP_NEQ, &udp, sizeof(udp));
	expr_accept(&build);
	return finish(layout, &build, "answers to this host");
}

/*
 * ... ip saddr . ip daddr . udp dport != @asked4 accept
 *
 * Who began is all that tells a question of UDP from an answer, and conntrack forgets that after
 * half a minute: what comes to a port that this peer has asked counts as a question.
 */
static int accept_udp_replies(struct nft_layout *layout, const struct family *family)
{
	struct rule_build build = start_replies();

	match_l4proto(&build, IPPROTO_UDP);
	match_family(&build, family);
	load_question(&build, family, ORIGINAL);
	expr_lookup_not(&build, nft_set_name(family->asked));
	expr_accept(&build);
	return finish(layout, &build, "answers to this host");
}

/*
 * meta mark set ip saddr map @src4 meta mark . ip daddr . meta l4proto . th dport vmap @acl4
 *
 * One rule, so that a miss in the first map ends it: the second never sees a stale mark. Bytes 2
 * and 3 of an ICMP header are no port, but its element spans all of them. "flows" is acl4, or
 * port4.
 */
static int look_up(struct nft_layout *layout, const char *chain, const struct family *family,
		   enum nft_set_id sources, enum nft_set_id flows, enum direction direction)
{
	struct rule_build build = rule_start(chain);
	uint32_t peer = direction == ORIGINAL ? family->saddr_offset : family->daddr_offset;
	uint32_t own = direction == ORIGINAL ? family->daddr_offset : family->saddr_offset;
	enum nft_registers addr_reg = NFT_REG32_01;
	enum nft_registers proto_reg = addr_reg + family->addr_len / 4;

	match_family(&build, family);
	expr_payload(&build, NFT_PAYLOAD_NETWORK_HEADER, peer, family->addr_len, NFT_REG_1);
	expr_map(&build, nft_set_name(sources), NFT_REG_1);
	expr_set_mark(&build, NFT_REG_1);
	expr_meta(&build, NFT_META_MARK, NFT_REG_1);
	if (flows == family->acl)
		expr_hton(&build, NFT_REG_1, 4, 4);
	expr_payload(&build, NFT_PAYLOAD_NETWORK_HEADER, own, family->addr_len, addr_reg);
	expr_meta(&build, NFT_META_L4PROTO, proto_reg);
	expr_payload(&build, NFT_PAYLOAD_TRANSPORT_HEADER, direction == ORIGINAL ? 2 : 0, 2,
		     proto_reg + 1);
	expr_map(&build, nft_set_name(flows), NFT_REG_VERDICT);
	return finish(layout, &build, NULL);
}

/* Single ports first: most rules name nothing else, and a hash costs the same for any number. */
static int look_up_family(struct nft_layout *layout, const char *chain, const struct family *family,
			  enum direction direction)
{
	const enum nft_set_id sources[] = { family->src, family->net };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sources) && r == 0; i++) {
		r = look_up(layout, chain, family, sources[i], family->port, direction);
		if (r == 0)
			r = look_up(layout, chain, family, sources[i], family->acl, direction);
	}
	return r;
}

static int look_up_all(struct nft_layout *layout, const char *chain, enum direction direction)
{
	int r = 0;

	for (size_t i = 0; i < N_FAMILIES && r == 0; i++)
		r = look_up_family(layout, chain, &families[i], direction);
	return r;
}

int nft_rules_input(struct nft_layout *layout, const struct nft_layout_config *config)
{
	struct rule_build drop;
	int r = 0;

	for (size_t i = 0; i < N_FAMILIES && r == 0; i++)
		r = drop_weak_host(layout, config, &families[i]);
	if (r == 0)
		r = accept_elsewhere(layout, config, "input", &side_in);
	if (r == 0)
		r = accept_replies(layout);
	for (size_t i = 0; i < N_FAMILIES && r == 0; i++)
		r = accept_udp_replies(layout, &families[i]);
	if (r == 0)
		r = look_up_all(layout, "input", ORIGINAL);
	if (r < 0)
		return r;
	drop = rule_start("input");
	return finish_drop(layout, config, &drop, NFT_REASON_NO_RULE);
}

/*
 * ct direction original meta l4proto udp update @asked4 { ... }
 *
 * Behind the chain "input": all that comes here from the mesh was let in.
 */
static int remember_question(struct nft_layout *layout, const struct family *family)
{
	struct rule_build build = rule_start("asked");

	match_direction(&build, IP_CT_DIR_ORIGINAL);
	match_l4proto(&build, IPPROTO_UDP);
	match_family(&build, family);
	load_question(&build, family, ORIGINAL);
	expr_update(&build, nft_set_name(family->asked));
	return finish(layout, &build, NULL);
}

int nft_rules_asked(struct nft_layout *layout, const struct nft_layout_config *config)
{
	int r;

	r = accept_elsewhere(layout, config, "asked", &side_in);
	for (size_t i = 0; i < N_FAMILIES && r == 0; i++)
		r = remember_question(layout, &families[i]);
	return r;
}

/*
 * ct state new tcp flags & (fin|syn|rst|ack) != syn counter drop
 *
 * When a connection has been forgotten by conntrack, a packet in its middle would start it anew
 * (nf_conntrack_tcp_loose) with this host as the one who began, and the peer as one who answers.
 */
static int drop_loose_tcp(struct nft_layout *layout, const struct nft_layout_config *config)
{
	struct rule_build build = rule_start("output");
	const uint8_t flags = 0x17, syn = 0x02;

	match_ct_state(&build, NF_CT_STATE_BIT(IP_CT_NEW));
	match_l4proto(&build, IPPROTO_TCP);
	expr_payload(&build, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, NFT_REG_1);
	expr_mask(&build, &flags, sizeof(flags));
	expr_cmp(&build, NFT_CMP_NEQ, &syn, sizeof(syn));
	return finish_drop(layout, config, &build, "connection taken up in the middle");
}

/*
 * ct state invalid counter drop
 *
 * What conntrack cannot place has no direction, so that nothing tells which right it needs.
 */
static int drop_invalid(struct nft_layout *layout, const struct nft_layout_config *config)
{
	struct rule_build build = rule_start("output");

	match_ct_state(&build, NF_CT_STATE_INVALID_BIT);
	return finish_drop(layout, config, &build, "of no connection");
}

/*
 * ct direction original meta l4proto udp ip daddr . ip saddr . udp sport @asked4 update @asked4 {
 * ... } goto replies
 *
 * What drop_loose_tcp() is for TCP: a server that goes on sending when conntrack has forgotten the
 * question does not begin anything. For as long as it does go on, the question is not forgotten.
 */
static int check_late_answers(struct nft_layout *layout, const struct family *family)
{
	struct rule_build build = rule_start("output");

	match_direction(&build, IP_CT_DIR_ORIGINAL);
	match_l4proto(&build, IPPROTO_UDP);
	match_family(&build, family);
	load_question(&build, family, REPLY);
	expr_lookup(&build, nft_set_name(family->asked));
	load_question(&build, family, REPLY);
	expr_update(&build, nft_set_name(family->asked));
	expr_goto(&build, "replies");
	return finish(layout, &build, NULL);
}

/* ct direction reply goto replies */
static int check_replies(struct nft_layout *layout)
{
	struct rule_build build = rule_start("output");

	match_direction(&build, IP_CT_DIR_REPLY);
	expr_goto(&build, "replies");
	return finish(layout, &build, NULL);
}

/*
 * ct state untracked goto replies
 *
 * Where somebody has switched tracking off ("notrack"), all that comes in is judged as a question,
 * so all that goes out is judged as an answer.
 */
static int check_untracked(struct nft_layout *layout)
{
	struct rule_build build = rule_start("output");

	match_ct_state(&build, NF_CT_STATE_UNTRACKED_BIT);
	expr_goto(&build, "replies");
	return finish(layout, &build, NULL);
}

int nft_rules_output(struct nft_layout *layout, const struct nft_layout_config *config)
{
	int r;

	r = accept_elsewhere(layout, config, "output", &side_out);
	if (r == 0)
		r = drop_loose_tcp(layout, config);
	if (r == 0)
		r = drop_invalid(layout, config);
	if (r == 0)
		r = check_replies(layout);
	for (size_t i = 0; i < N_FAMILIES && r == 0; i++)
		r = check_late_answers(layout, &families[i]);
	if (r == 0)
		r = check_untracked(layout);
	return r;
}

/* ct state related meta l4proto icmp accept: errors about a packet that was let in */
static int accept_icmp_errors(struct nft_layout *layout, const struct family *family)
{
	struct rule_build build = rule_start("replies");

	match_ct_state(&build, NF_CT_STATE_BIT(IP_CT_RELATED));
	match_l4proto(&build, family->icmp);
	expr_accept(&build);
	return finish(layout, &build, NULL);
}

int nft_rules_replies(struct nft_layout *layout, const struct nft_layout_config *config)
{
	struct rule_build drop;
	int r = 0;

	for (size_t i = 0; i < N_FAMILIES && r == 0; i++)
		r = accept_icmp_errors(layout, &families[i]);
	if (r == 0)
		r = look_up_all(layout, "replies", REPLY);
	if (r < 0)
		return r;
	drop = rule_start("replies");
	return finish_drop(layout, config, &drop, "right was taken away");
}

/* iifname != "mesh0" iifgroup != 5182 oifname != "mesh0" oifgroup != 5182 accept */
static int accept_other_forwarding(struct nft_layout *layout,
				   const struct nft_layout_config *config)
{
	struct rule_build build = rule_start("forward");

	match_elsewhere(&build, &side_in, config);
	match_elsewhere(&build, &side_out, config);
	expr_accept(&build);
	return finish(layout, &build, NULL);
}

int nft_rules_forward(struct nft_layout *layout, const struct nft_layout_config *config)
{
	struct rule_build drop;
	int r;

	r = accept_other_forwarding(layout, config);
	if (r < 0)
		return r;
	drop = rule_start("forward");
	match_elsewhere(&drop, &side_in, config);
	r = finish_drop(layout, config, &drop, "elsewhere to mesh");
	if (r < 0)
		return r;
	drop = rule_start("forward");
	return finish_drop(layout, config, &drop, "mesh to elsewhere");
}
