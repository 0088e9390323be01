/*
 * Other tables: in nftables every drop wins, so that what ours lets in another can still drop. Each
 * base chain of others is asked about the first packets of what the map allows: from peers to the
 * ports of the packet filter, to peers, and WireGuard's own, at each hook that they come by. "Good"
 * is said only if all of it could be told.
 */
#include "agent/ctl/doctor/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter.h>
#include <netinet/in.h>
#include <string.h>

#include "agent/ctl/doctor/fw_owner.h"
#include "common/cli/value.h"

#define MAX_PROBES 256
#define MAX_GROUPS 64
#define SSH_PORT   22
#define HTTPS_PORT 443

/* ---- what is asked ---- */

struct probe {
	enum fw_way way;
	char label[32]; /* "tcp/22" */
	struct fw_packet packet;
};

struct probes {
	struct probe all[MAX_PROBES];
	size_t n;
	bool cut;
};

static void add_probe(struct probes *probes, enum fw_way way, const struct fw_packet *packet)
{
	const char *proto = packet->proto == IPPROTO_TCP ? "tcp" : "udp";
	uint16_t port = packet->dport ? packet->dport : packet->sport;
	struct probe *probe = &probes->all[probes->n];

	if (probes->n == MAX_PROBES) {
		probes->cut = true;
		return;
	}
	*probe = (struct probe){ .way = way, .packet = *packet };
	if (port)
		snprintf(probe->label, sizeof(probe->label), "%s/%u", proto, port);
	else
		snprintf(probe->label, sizeof(probe->label), "%s",
			 packet->proto == IPPROTO_ICMP || packet->proto == IPPROTO_ICMPV6 ? "ping"
											  : proto);
	probes->n++;
}

/* The first address of that family. */
static bool find_address(const json_t *addresses, sa_family_t family, struct ip_addr *ret_addr)
{
	for (size_t i = 0; i < json_array_size(addresses); i++) {
		const char *text = json_string_value(json_array_get(addresses, i));
		struct ip_addr addr;

		if (text && ip_addr_parse(text, &addr) == 0 && addr.family == family) {
			*ret_addr = addr;
			return true;
		}
	}
	return false;
}

static bool find_peer_address(const struct doctor_facts *facts, sa_family_t family,
			      struct ip_addr *ret_addr)
{
	const json_t *peers = json_object_get(facts->peers, "peers");

	for (size_t i = 0; i < json_array_size(peers); i++) {
		const json_t *node = json_object_get(json_array_get(peers, i), "node");

		if (find_address(json_object_get(node, "addresses"), family, ret_addr))
			return true;
	}
	return false;
}

static bool has_probe(const struct probes *probes, enum fw_way way, const struct fw_packet *packet)
{
	for (size_t i = 0; i < probes->n; i++) {
		const struct fw_packet *other = &probes->all[i].packet;

		if (probes->all[i].way == way && other->family == packet->family &&
		    other->proto == packet->proto && other->dport == packet->dport)
			return true;
	}
	return false;
}

static void probe_port(struct probes *probes, struct fw_packet packet, uint8_t proto, uint16_t port)
{
	packet.proto = proto;
	packet.dport = proto == IPPROTO_TCP || proto == IPPROTO_UDP ? port : 0;
	if (!has_probe(probes, FW_FROM_MESH, &packet))
		add_probe(probes, FW_FROM_MESH, &packet);
}

/* A port of each rule; where it says nothing of protocols, TCP stands for all. */
static void probe_rule(const struct json_t *rule, struct probes *probes,
		       const struct fw_packet *packet)
{
	const json_t *protocols = json_object_get(rule, "protocols");
	const json_t *dsts = json_object_get(rule, "destinations");
	json_int_t proto = json_integer_value(json_array_get(protocols, 0));

	if (json_array_size(protocols) == 0)
		proto = IPPROTO_TCP;
	if (packet->family == AF_INET6 && proto == IPPROTO_ICMP)
		proto = IPPROTO_ICMPV6;
	if (packet->family == AF_INET && proto == IPPROTO_ICMPV6)
		proto = IPPROTO_ICMP;
	for (size_t i = 0; i < json_array_size(dsts); i++) {
		uint64_t port = value_number(json_array_get(dsts, i), "firstPort");

		if (proto > 0 && proto <= UINT8_MAX && port <= UINT16_MAX)
			probe_port(probes, *packet, (uint8_t)proto,
				   port ? (uint16_t)port : HTTPS_PORT);
	}
}

static void probe_mesh(const struct doctor_facts *facts, sa_family_t family, struct probes *probes)
{
	const json_t *rules = json_object_get(facts->filter, "rules");
	struct fw_packet in = {
		.family = family,
		.iif = doctor_link_name(facts),
		.iif_index = facts->mesh_index,
	};
	struct fw_packet out = {
		.family = family,
		.oif = doctor_link_name(facts),
		.oif_index = facts->mesh_index,
		.proto = IPPROTO_TCP,
		.dport = SSH_PORT,
	};

	if (!find_address(json_object_get(facts->status, "addresses"), family, &in.dst))
		return;
	(void)find_peer_address(facts, family, &in.src);
	out.src = in.dst;
	out.dst = in.src;
	add_probe(probes, FW_TO_MESH, &out);
	if (doctor_ssh_is_on(facts))
		probe_port(probes, in, IPPROTO_TCP, SSH_PORT);
	for (size_t i = 0; i < json_array_size(rules); i++)
		probe_rule(json_array_get(rules, i), probes, &in);
}

/* Where a peer is now: rules about other addresses are then none of ours. */
static void find_endpoint(const struct doctor_facts *facts, sa_family_t family,
			  struct ip_addr *ret_addr)
{
	const json_t *peers = json_object_get(facts->peers, "peers");

	for (size_t i = 0; i < json_array_size(peers); i++) {
		const char *text =
			json_string_value(json_object_get(json_array_get(peers, i), "endpoint"));
		struct ip_endpoint ep;

		if (text && ip_endpoint_parse(text, &ep) == 0 && ep.addr.family == family) {
			*ret_addr = ep.addr;
			return;
		}
	}
}

static void probe_wireguard(const struct doctor_facts *facts, struct probes *probes)
{
	const char *device = facts->default_device[0] ? facts->default_device : NULL;
	struct fw_packet in = {
		.family = AF_INET,
		.iif = device,
		.iif_index = facts->default_index,
		.proto = IPPROTO_UDP,
		.dport = doctor_listen_port(facts),
	};
	struct fw_packet out = {
		.family = AF_INET,
		.oif = device,
		.oif_index = facts->default_index,
		.proto = IPPROTO_UDP,
		.sport = doctor_listen_port(facts),
	};

	find_endpoint(facts, AF_INET, &in.src);
	out.dst = in.src;
	add_probe(probes, FW_WIREGUARD_IN, &in);
	add_probe(probes, FW_WIREGUARD_OUT, &out);
}

/* ---- what is answered ---- */

/* Probes that meet with the same fate at the same place. */
struct group {
	enum fw_way way;
	struct fw_answer answer;
	char labels[128];
};

struct groups {
	struct group all[MAX_GROUPS];
	size_t n;
	bool cut;
};

static void add_label(struct group *group, const char *label)
{
	size_t len = strlen(group->labels);

	if (strstr(group->labels, label))
		return;
	snprintf(group->labels + len, sizeof(group->labels) - len, "%s%s", len ? ", " : "", label);
}

static void add_answer(struct groups *groups, const struct probe *probe,
		       const struct fw_answer *answer)
{
	struct group *group = groups->all;

	for (size_t i = 0; i < groups->n; i++, group++)
		if (group->way == probe->way && group->answer.base == answer->base &&
		    group->answer.at == answer->at && group->answer.fate == answer->fate)
			return add_label(group, probe->label);
	if (groups->n == MAX_GROUPS) {
		groups->cut = true;
		return;
	}
	*group = (struct group){ .way = probe->way, .answer = *answer };
	add_label(group, probe->label);
	groups->n++;
}

/* Where packets come by on each way. */
static const uint32_t hooks_in[] = { NF_INET_INGRESS, NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN };
static const uint32_t hooks_out[] = { NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING, FW_EGRESS };

static void ask_chain(const struct fw *fw, const struct fw_chain *base, const struct probe *probe,
		      struct groups *groups)
{
	bool out = probe->way == FW_TO_MESH || probe->way == FW_WIREGUARD_OUT;
	const uint32_t *hooks = out ? hooks_out : hooks_in;
	struct fw_packet packet = probe->packet;

	for (size_t i = 0; i < ARRAY_SIZE(hooks_in); i++) {
		struct fw_answer answer;

		packet.hook = hooks[i];
		if (!fw_ask(fw, base, &packet, &answer))
			continue;
		/* Let through, unless a rule matches of which that cannot be told. */
		if (answer.fate == FW_ACCEPTED && !answer.certain) {
			answer.fate = FW_UNDECIDED;
			answer.at = base;
		}
		if (answer.fate != FW_ACCEPTED)
			add_answer(groups, probe, &answer);
	}
}

static void ask(const struct fw *fw, const struct probes *probes, struct groups *groups)
{
	for (size_t c = 0; c < fw->n_chains; c++)
		for (size_t i = 0; i < probes->n; i++)
			ask_chain(fw, &fw->chains[c], &probes->all[i], groups);
}

/* "what comes from mesh0 (tcp/22, tcp/80)" */
static void describe_traffic(const struct doctor_facts *facts, const struct group *group, char *buf,
			     size_t size)
{
	const char *link = doctor_link_name(facts);

	switch (group->way) {
	case FW_FROM_MESH:
		snprintf(buf, size, "what the map lets in from %s (%s)", link, group->labels);
		break;
	case FW_TO_MESH:
		snprintf(buf, size, "what goes out to %s", link);
		break;
	case FW_WIREGUARD_IN:
		snprintf(buf, size, "WireGuard's packets from outside (%s)", group->labels);
		break;
	case FW_WIREGUARD_OUT:
		snprintf(buf, size, "WireGuard's packets to outside (from %s)", group->labels);
		break;
	}
}

static void say_dropped(const struct doctor_facts *facts, const struct group *group,
			const char *owner, const char *traffic, struct doctor_report *rep)
{
	const struct fw_answer *answer = &group->answer;
	/* What this host begins is answered all the same: connections are tracked. */
	bool half = group->way == FW_WIREGUARD_IN;

	if (answer->by_policy)
		doctor_say(rep, answer->certain && !half ? DOCTOR_BAD : DOCTOR_WARN,
			   "%s drops %s: %s", owner, traffic,
			   answer->certain ? "by its policy, no rule accepts it"
					   : "by its policy, unless a rule accepts it of which "
					     "that cannot be told");
	else
		doctor_say(rep, answer->certain && !half ? DOCTOR_BAD : DOCTOR_WARN,
			   "%s drops %s in chain %s%s", owner, traffic, answer->at->name,
			   answer->certain ? ""
					   : ", unless a rule before accepts it of which that "
					     "cannot be told");
}

static void say_group(const struct doctor_facts *facts, const struct group *group,
		      struct doctor_report *rep)
{
	const struct fw_answer *answer = &group->answer;
	char owner[FW_OWNER_LEN], traffic[256], remedy[FW_REMEDY_LEN];

	fw_owner_name(facts->fw, answer, owner);
	describe_traffic(facts, group, traffic, sizeof(traffic));
	if (answer->fate == FW_DROPPED)
		say_dropped(facts, group, owner, traffic, rep);
	else if (answer->fate == FW_DIVERTED)
		doctor_say(rep, DOCTOR_WARN, "%s sends %s elsewhere (chain %s)", owner, traffic,
			   answer->at->name);
	else
		doctor_say(rep, DOCTOR_UNKNOWN, "%s: what becomes of %s cannot be told (chain %s)",
			   owner, traffic, answer->at->name);
	if (answer->fate == FW_UNDECIDED)
		return;
	fw_owner_remedy(facts->fw, answer, group->way, doctor_link_name(facts),
			doctor_listen_port(facts), remedy);
	doctor_advise(rep, "%s", remedy);
}

void doctor_check_firewall(const struct doctor_facts *facts, struct doctor_report *rep)
{
	struct probes probes = { 0 };
	struct groups groups = { 0 };
	size_t n_before = rep->n;

	if (!facts->fw) {
		doctor_say(rep, DOCTOR_UNKNOWN, "other programs' rules cannot be read: %s",
			   facts->fw_error == -EPERM ? "needs root" : strerror(-facts->fw_error));
		if (facts->fw_error == -EPERM)
			doctor_advise(rep, "run this as root");
		return;
	}
	probe_mesh(facts, AF_INET, &probes);
	probe_mesh(facts, AF_INET6, &probes);
	probe_wireguard(facts, &probes);
	ask(facts->fw, &probes, &groups);
	for (size_t i = 0; i < groups.n; i++)
		say_group(facts, &groups.all[i], rep);
	if (facts->fw->bridge)
		doctor_say(rep, DOCTOR_UNKNOWN, "rules of the family bridge are not looked at");
	if (probes.cut || groups.cut)
		doctor_say(rep, DOCTOR_UNKNOWN, "there is more to ask about than is asked");
	if (facts->fw->cut)
		doctor_say(rep, DOCTOR_UNKNOWN, "there are more rules than are looked at");
	if (facts->legacy_tables) {
		doctor_say(rep, DOCTOR_UNKNOWN, "rules of iptables-legacy cannot be read here");
		doctor_advise(rep,
			      "look for drops of %s and of UDP port %u in "
			      "iptables-legacy-save",
			      doctor_link_name(facts), doctor_listen_port(facts));
	}
	if (rep->n > n_before)
		return;
	if (!facts->filter)
		doctor_say(rep, DOCTOR_UNKNOWN,
			   "no other table drops WireGuard's packets; what else is let in only a "
			   "map tells");
	else
		doctor_say(rep, DOCTOR_GOOD, "no other table drops what the map allows");
}
