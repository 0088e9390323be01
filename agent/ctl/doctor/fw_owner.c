#include "agent/ctl/doctor/fw_owner.h"

#include <linux/netfilter.h>
#include <stdio.h>
#include <string.h>

enum owner {
	OWNER_UFW,
	OWNER_FIREWALLD,
	OWNER_TAILSCALE,
	OWNER_IPTABLES,
	OWNER_NFT,
};

static bool begins_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* ufw's own chains hang in the tables of iptables, whose base chains bear no name of its own. */
static bool has_ufw(const struct fw *fw, const struct fw_chain *base)
{
	for (size_t i = 0; i < fw->n_chains; i++) {
		const struct fw_chain *chain = &fw->chains[i];

		if (chain->family == base->family && strcmp(chain->table, base->table) == 0 &&
		    (begins_with(chain->name, "ufw-") || begins_with(chain->name, "ufw6-")))
			return true;
	}
	return false;
}

static bool is_iptables(const struct fw_chain *base)
{
	static const char *const tables[] = { "filter", "mangle", "nat", "raw", "security" };
	static const char *const chains[] = { "PREROUTING", "INPUT", "FORWARD", "OUTPUT",
					      "POSTROUTING" };
	bool table = false, chain = false;

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		table |= strcmp(base->table, tables[i]) == 0;
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++)
		chain |= strcmp(base->name, chains[i]) == 0;
	return table && chain && base->family != NFPROTO_INET;
}

static enum owner owner_of(const struct fw *fw, const struct fw_answer *answer)
{
	if (begins_with(answer->at->name, "ts-"))
		return OWNER_TAILSCALE;
	if (strcmp(answer->base->table, "firewalld") == 0)
		return OWNER_FIREWALLD;
	if (has_ufw(fw, answer->base))
		return OWNER_UFW;
	return is_iptables(answer->base) ? OWNER_IPTABLES : OWNER_NFT;
}

static const char *family_name(const struct fw_chain *chain)
{
	return chain->family == NFPROTO_IPV4	 ? "ip"
	       : chain->family == NFPROTO_IPV6	 ? "ip6"
	       : chain->family == NFPROTO_NETDEV ? "netdev"
						 : "inet";
}

void fw_owner_name(const struct fw *fw, const struct fw_answer *answer, char buf[FW_OWNER_LEN])
{
	const struct fw_chain *base = answer->base;

	switch (owner_of(fw, answer)) {
	case OWNER_UFW:
		snprintf(buf, FW_OWNER_LEN, "ufw");
		break;
	case OWNER_FIREWALLD:
		snprintf(buf, FW_OWNER_LEN, "firewalld");
		break;
	case OWNER_TAILSCALE:
		snprintf(buf, FW_OWNER_LEN, "Tailscale");
		break;
	case OWNER_IPTABLES:
		snprintf(buf, FW_OWNER_LEN, "iptables (table %s %s)", family_name(base),
			 base->table);
		break;
	case OWNER_NFT:
		snprintf(buf, FW_OWNER_LEN, "the table %s %.100s", family_name(base), base->table);
		break;
	}
}

static void ufw_remedy(enum fw_way way, const char *link, uint16_t port, char *buf)
{
	switch (way) {
	case FW_FROM_MESH:
		snprintf(buf, FW_REMEDY_LEN, "ufw allow in on %s", link);
		break;
	case FW_TO_MESH:
		snprintf(buf, FW_REMEDY_LEN, "ufw allow out on %s", link);
		break;
	case FW_WIREGUARD_IN:
		snprintf(buf, FW_REMEDY_LEN, "ufw allow %u/udp", port);
		break;
	case FW_WIREGUARD_OUT:
		snprintf(buf, FW_REMEDY_LEN, "ufw allow out proto udp from any port %u", port);
		break;
	}
}

static void firewalld_remedy(enum fw_way way, const char *link, uint16_t port, char *buf)
{
	switch (way) {
	case FW_FROM_MESH:
		snprintf(buf, FW_REMEDY_LEN,
			 "firewall-cmd --permanent --zone=trusted --add-interface=%s && "
			 "firewall-cmd --reload",
			 link);
		break;
	case FW_WIREGUARD_IN:
		snprintf(buf, FW_REMEDY_LEN,
			 "firewall-cmd --permanent --add-port=%u/udp && firewall-cmd --reload",
			 port);
		break;
	case FW_TO_MESH:
	case FW_WIREGUARD_OUT:
		snprintf(
			buf, FW_REMEDY_LEN,
			"let it out in the policy that drops it: firewall-cmd --list-all-policies");
		break;
	}
}

/* The match that both iptables and nft need. */
static void iptables_remedy(const struct fw_chain *base, enum fw_way way, const char *link,
			    uint16_t port, char *buf)
{
	const char *program = base->family == NFPROTO_IPV6 ? "ip6tables" : "iptables";
	char match[64];

	if (way == FW_FROM_MESH || way == FW_TO_MESH)
		snprintf(match, sizeof(match), "-%c %s", way == FW_TO_MESH ? 'o' : 'i', link);
	else
		snprintf(match, sizeof(match), "-p udp --%cport %u",
			 way == FW_WIREGUARD_OUT ? 's' : 'd', port);
	snprintf(buf, FW_REMEDY_LEN, "%s -t %s -I %s %s -j ACCEPT, and keep that over a reboot",
		 program, base->table, base->name, match);
}

static void nft_remedy(const struct fw_chain *base, enum fw_way way, const char *link,
		       uint16_t port, char *buf)
{
	char match[64];

	if (way == FW_FROM_MESH || way == FW_TO_MESH)
		snprintf(match, sizeof(match), "%cifname \"%s\"", way == FW_TO_MESH ? 'o' : 'i',
			 link);
	else
		snprintf(match, sizeof(match), "udp %cport %u", way == FW_WIREGUARD_OUT ? 's' : 'd',
			 port);
	snprintf(buf, FW_REMEDY_LEN,
		 "nft insert rule %s %.100s %.100s %s accept, and the same in the file that makes "
		 "this table",
		 family_name(base), base->table, base->name, match);
}

void fw_owner_remedy(const struct fw *fw, const struct fw_answer *answer, enum fw_way way,
		     const char *link, uint16_t port, char buf[FW_REMEDY_LEN])
{
	switch (owner_of(fw, answer)) {
	case OWNER_UFW:
		return ufw_remedy(way, link, port, buf);
	case OWNER_FIREWALLD:
		return firewalld_remedy(way, link, port, buf);
	case OWNER_TAILSCALE:
		snprintf(buf, FW_REMEDY_LEN,
			 "give the mesh another prefix than Tailscale's 100.64.0.0/10, or: "
			 "tailscale set --netfilter-mode=off");
		return;
	case OWNER_IPTABLES:
		return iptables_remedy(answer->base, way, link, port, buf);
	case OWNER_NFT:
		return nft_remedy(answer->base, way, link, port, buf);
	}
}
