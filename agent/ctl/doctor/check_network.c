/* The ways to the peers: routes, other programs that use the same addresses, the kernel's knobs. */
#include <inttypes.h>
#include <string.h>

#include "agent/ctl/doctor/doctor.h"

#define MIN_MTU 1280 /* RFC 8200, 5: IPv6 asks for it of every link */
#define STRICT	1    /* rp_filter */

static void check_mtu(const struct doctor_facts *facts, struct doctor_report *rep)
{
	if (facts->mtu == 0 || facts->mtu >= MIN_MTU)
		return;
	doctor_say(rep, DOCTOR_BAD, "the MTU of %s is %d: IPv6 needs %d", doctor_link_name(facts),
		   facts->mtu, MIN_MTU);
	doctor_advise(rep, "ip link set %s mtu 1420, or less where the way is narrow",
		      doctor_link_name(facts));
}

/* The first peer whose way leads elsewhere stands for all that share it. */
static void check_routes(const struct doctor_facts *facts, struct doctor_report *rep)
{
	const char *link = doctor_link_name(facts);
	const struct doctor_route *wrong = NULL;
	char addr[IP_ADDR_STRLEN], others[64] = "";
	size_t n = 0;

	for (size_t i = 0; i < facts->n_routes; i++)
		if (strcmp(facts->routes[i].device, link) != 0) {
			if (!wrong)
				wrong = &facts->routes[i];
			n++;
		}
	if (facts->n_routes == 0) {
		doctor_say(rep, DOCTOR_UNKNOWN, "there are no peers whose way could be looked up");
		return;
	}
	if (!wrong) {
		doctor_say(rep, DOCTOR_GOOD, "the ways to all peers lead over %s", link);
		return;
	}
	ip_addr_to_string(&wrong->addr, addr);
	if (n > 1)
		snprintf(others, sizeof(others), " and %zu other peer%s", n - 1, n == 2 ? "" : "s");
	if (wrong->device[0] == '\0') {
		doctor_say(rep, DOCTOR_BAD, "there is no way to %s (%s)%s", wrong->peer, addr,
			   others);
		doctor_advise(rep, "ip link set %s up; ip rule shows who comes before", link);
		return;
	}
	doctor_say(rep, DOCTOR_BAD, "the way to %s (%s)%s leads over %s instead of %s", wrong->peer,
		   addr, others, wrong->device, link);
	doctor_advise(rep,
		      "ip route get %s shows the rule: take it away from %s, or give the mesh "
		      "another prefix",
		      addr, wrong->device);
}

static bool is_tailscale(const char *name)
{
	return strncmp(name, "tailscale", strlen("tailscale")) == 0;
}

static void check_links(const struct doctor_facts *facts, struct doctor_report *rep)
{
	char addr[IP_ADDR_STRLEN];

	for (size_t i = 0; i < facts->n_links; i++) {
		const struct doctor_link *link = &facts->links[i];

		if (!doctor_in_mesh(facts, &link->addr))
			continue;
		ip_addr_to_string(&link->addr, addr);
		doctor_say(rep, DOCTOR_WARN,
			   "%s has the address %s, which is of the mesh's "
			   "prefixes: two networks use the same addresses",
			   link->name, addr);
		if (is_tailscale(link->name))
			doctor_advise(rep,
				      "give the mesh another prefix: Tailscale drops what has "
				      "a source in 100.64.0.0/10 and did not come by %s "
				      "(or: tailscale set --netfilter-mode=off)",
				      link->name);
		else
			doctor_advise(rep, "give the mesh or that network another prefix");
	}
}

/*
 * Strict filtering asks whether the answer would leave by the same link: with our routes it does.
 * With FwMark= on WireGuard's own packets it may not, if the mark chooses another table.
 */
static void check_rp_filter(const struct doctor_facts *facts, struct doctor_report *rep)
{
	const json_t *fwmark = json_object_get(facts->status, "fwmark");

	if (facts->rp_filter != STRICT || json_integer_value(fwmark) == 0 || facts->src_valid_mark)
		return;
	doctor_say(rep, DOCTOR_WARN,
		   "rp_filter is strict, and FwMark= is set: answers of peers "
		   "may be dropped, since the mark is not looked at");
	doctor_advise(rep, "sysctl -w net.ipv4.conf.all.src_valid_mark=1");
}

static void check_conntrack(const struct doctor_facts *facts, struct doctor_report *rep)
{
	uint64_t count = facts->conntrack_count, max = facts->conntrack_max;

	/* Not every namespace shows the numbers; a table that is in force has what it needs. */
	if (max == 0 && !json_object_get(facts->status, "kernelProblem"))
		return;
	if (max == 0) {
		doctor_say(rep, DOCTOR_BAD,
			   "connections are not tracked: answers of peers cannot "
			   "be told from questions");
		doctor_advise(rep, "modprobe nf_conntrack, or a kernel that has it "
				   "(CONFIG_NF_CONNTRACK)");
	} else if (count > max - max / 10) {
		doctor_say(rep, DOCTOR_BAD,
			   "the table of connections is full: %" PRIu64 " of %" PRIu64
			   ", new ones are dropped",
			   count, max);
		doctor_advise(rep, "sysctl -w net.netfilter.nf_conntrack_max=%" PRIu64, 2 * max);
	}
}

void doctor_check_network(const struct doctor_facts *facts, struct doctor_report *rep)
{
	check_routes(facts, rep);
	check_links(facts, rep);
	check_mtu(facts, rep);
	check_rp_filter(facts, rep);
	check_conntrack(facts, rep);
}
