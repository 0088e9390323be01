/*
 * What agentctl doctor says of other programs' rules: real ones, loaded with nft into a network
 * namespace and read back from the kernel. Needs root.
 */
#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/ctl/doctor/doctor.h"
#include "common/text.h"

#define EXIT_SKIP 77

static const char status_text[] =
	"{\"interface\": \"mesh0\", \"listenPort\": 51820, \"generation\": 1, \"ssh\": true,"
	" \"addresses\": [\"100.64.0.1\", \"fd7a::1\"], \"prefixes\": [\"100.64.0.0/10\"]}";
static const char peers_text[] =
	"{\"peers\": [{\"endpoint\": \"198.51.100.7:51820\", \"node\": {\"nodeName\": \"laptop\","
	"                         \"addresses\": [\"100.64.0.2\", \"fd7a::2\"]}}]}";
static const char filter_text[] =
	"{\"rules\": [{\"protocols\": [6], \"destinations\":"
	"              [{\"prefix\": \"100.64.0.1\", \"firstPort\": 8000, \"lastPort\": 8099}]},"
	"             {\"protocols\": [1, 58], \"destinations\":"
	"              [{\"prefix\": \"100.64.0.1\", \"firstPort\": 0, \"lastPort\": 65535}]}]}";

/* nft 1.0.6 wants a new line before the brace that ends a chain, and none in a list of devices. */
static void put(FILE *f, const char *text)
{
	for (const char *c = text; *c; c++) {
		bool list = c >= text + 2 && strncmp(c - 2, "\" }", 3) == 0;

		fprintf(f, "%s%c", *c == '}' && !list ? "\n" : "", *c);
	}
}

static void run_nft(const char *rules, const char *more)
{
	FILE *f = popen("nft -f -", "w");

	assert_non_null(f);
	put(f, "flush ruleset\n");
	put(f, rules);
	put(f, more);
	assert_int_equal(pclose(f), 0);
}

/* Ours lets things in, whatever the others do: it must not be asked. */
#define OURS                                                                      \
	"table inet peergate { chain input { type filter hook input priority 0; " \
	"policy drop; } }\n"

#define INPUT(family, rules)                                                                 \
	"table " family " filter { chain input { type filter hook input priority 0; policy " \
	"drop;\n" rules " } }\n"

static const struct {
	const char *what; /* for people */
	const char *rules;
	enum doctor_state state;    /* of the worst finding */
	const char *says, *advises; /* parts of it; NULL: good */
} cases[] = {
	{ "nothing", "", DOCTOR_GOOD, NULL, NULL },
	{ "policy", INPUT("inet", ""), DOCTOR_BAD,
	  "the table inet filter drops what the map lets in from mesh0 (tcp/22, tcp/8000, ping): "
	  "by its policy, no rule accepts it",
	  "nft insert rule inet filter input iifname \"mesh0\" accept" },
	{ "one family", INPUT("ip6", ""), DOCTOR_BAD, "the table ip6 filter drops what the map",
	  "" },
	{ "accepted by name", INPUT("inet", "iifname \"mesh0\" accept\nudp dport 51820 accept"),
	  DOCTOR_GOOD, NULL, NULL },
	{ "accepted by a pattern of names",
	  INPUT("inet", "iifname \"mesh*\" accept\nudp dport 51820 accept"), DOCTOR_GOOD, NULL,
	  NULL },
	{ "accepted by a set of names",
	  INPUT("inet", "iifname { \"lo\", \"mesh0\" } accept\nudp dport 51820 accept"),
	  DOCTOR_GOOD, NULL, NULL },
	{ "another name", INPUT("inet", "iifname \"mesh1\" accept\nudp dport 51820 accept"),
	  DOCTOR_BAD, "(tcp/22, tcp/8000, ping)", "" },
	{ "some ports", INPUT("inet", "tcp dport { 22, 80 } accept\nudp dport 51820 accept"),
	  DOCTOR_BAD, "(tcp/8000, ping)", "" },
	{ "a range of ports",
	  INPUT("inet", "tcp dport 22-9000 accept\nudp dport 51820 accept\n"
			"meta l4proto { icmp, ipv6-icmp } accept"),
	  DOCTOR_GOOD, NULL, NULL },
	{ "a set of ranges",
	  INPUT("inet", "tcp dport { 1-21, 8000-8099 } accept\nudp dport 51820 accept\n"
			"meta l4proto { icmp, ipv6-icmp } accept"),
	  DOCTOR_BAD, "(tcp/22):", "" },
	{ "ranges side by side",
	  "table inet f { set s { type inet_service; flags interval; elements = { 1-21, 22-30 } }\n"
	  "chain in { type filter hook input priority 0;\ntcp dport @s drop } }\n",
	  DOCTOR_BAD, "(tcp/22) in chain in", "" },
	{ "states",
	  INPUT("inet", "ct state vmap { established : accept, related : accept, invalid : drop "
			"}\nct state new iifname \"mesh0\" accept\nudp dport 51820 accept"),
	  DOCTOR_GOOD, NULL, NULL },
	{ "only what is established",
	  INPUT("inet", "ct state established,related accept\niifname lo accept\niif lo accept"),
	  DOCTOR_BAD, "by its policy, no rule accepts it", "" },
	{ "WireGuard's port only", INPUT("inet", "iifname \"mesh0\" accept"), DOCTOR_WARN,
	  "drops WireGuard's packets from outside (udp/51820)",
	  "nft insert rule inet filter input udp dport 51820 accept" },
	{ "a dropping rule",
	  "table inet f { chain in { type filter hook input priority 0;\n"
	  "ip saddr 100.64.0.0/10 drop } }\n",
	  DOCTOR_BAD,
	  "the table inet f drops what the map lets in from mesh0 (tcp/22, tcp/8000, "
	  "ping) in chain in",
	  "nft insert rule inet f in iifname" },
	{ "a dropping rule for others",
	  "table inet f { chain in { type filter hook input priority 0;\n"
	  "ip saddr 100.65.0.0/16 drop\nip saddr 10.0.0.0/8 drop } }\n",
	  DOCTOR_GOOD, NULL, NULL },
	{ "reject",
	  "table inet f { chain in { type filter hook input priority 0;\n"
	  "iifname \"mesh0\" reject } }\n",
	  DOCTOR_BAD, "in chain in", "" },
	{ "raw",
	  "table ip raw { chain PREROUTING { type filter hook prerouting priority -300;\n"
	  "ip daddr 100.64.0.1 tcp dport 22 drop } }\n",
	  DOCTOR_BAD,
	  "iptables (table ip raw) drops what the map lets in from mesh0 (tcp/22) in "
	  "chain PREROUTING",
	  "iptables -t raw -I PREROUTING -i mesh0 -j ACCEPT" },
	{ "perhaps accepted", INPUT("inet", "udp dport 51820 accept\nmeta mark 7 accept\n"),
	  DOCTOR_WARN, "unless a rule accepts it of which that cannot be told", "" },
	{ "perhaps dropped",
	  "table inet f { set bad { type ipv4_addr; flags dynamic; elements = { 192.0.2.9 } }\n"
	  "chain in { type filter hook input priority 0;\nip saddr @bad drop\n"
	  "tcp dport 22 limit rate over 5/second drop } }\n",
	  DOCTOR_UNKNOWN,
	  "the table inet f: what becomes of what the map lets in from mesh0 (tcp/22) cannot be "
	  "told "
	  "(chain in)",
	  NULL },
	{ "behind routing",
	  "table inet f { chain post { type filter hook postrouting priority 0;\n"
	  "oifname \"mesh0\" drop } }\n",
	  DOCTOR_BAD, "drops what goes out to mesh0 in chain post",
	  "nft insert rule inet f post oifname \"mesh0\" accept" },
	{ "WireGuard behind routing",
	  "table ip f { chain post { type filter hook postrouting priority 0;\n"
	  "udp sport 51820 drop } }\n",
	  DOCTOR_BAD, "drops WireGuard's packets to outside (from udp/51820) in chain post", "" },
	{ "WireGuard before routing",
	  "table inet f { chain pre { type filter hook prerouting priority raw;\n"
	  "udp dport 51820 drop } }\n",
	  DOCTOR_WARN, "drops WireGuard's packets from outside (udp/51820) in chain pre", "" },
	{ "at the device",
	  "table inet f { chain in { type filter hook ingress device \"mesh0\" priority 0;\n"
	  "tcp dport 22 drop } }\n",
	  DOCTOR_BAD, "the table inet f drops what the map lets in from mesh0 (tcp/22) in chain in",
	  "" },
	{ "at WireGuard's device",
	  "table netdev f { chain in { type filter hook ingress device \"eth0\" priority 0;\n"
	  "udp dport 51820 drop } }\n",
	  DOCTOR_WARN, "the table netdev f drops WireGuard's packets from outside",
	  "nft insert rule netdev f in udp dport 51820 accept" },
	{ "at another device",
	  "table netdev f { chain in { type filter hook ingress device \"lo\" priority 0; policy "
	  "drop; } }\n",
	  DOCTOR_GOOD, NULL, NULL },
	{ "at several devices",
	  "table netdev f { chain in { type filter hook ingress devices = { \"lo\", \"mesh0\" } "
	  "priority 0;\ntcp dport 22 drop } }\n",
	  DOCTOR_BAD, "drops what the map lets in from mesh0 (tcp/22)", "" },
	{ "at the device, on the way out",
	  "table netdev f { chain out { type filter hook egress device \"mesh0\" priority 0; "
	  "policy "
	  "drop; } }\n",
	  DOCTOR_BAD, "the table netdev f drops what goes out to mesh0", "" },
	{ "at a bridge",
	  "table bridge f { chain in { type filter hook input priority 0; policy drop; } }\n",
	  DOCTOR_UNKNOWN, "rules of the family bridge are not looked at", NULL },
	{ "WireGuard's peer perhaps dropped",
	  "table inet f { chain in { type filter hook input priority 0;\n"
	  "udp dport 51820 limit rate over 5/second drop } }\n",
	  DOCTOR_UNKNOWN,
	  "what becomes of WireGuard's packets from outside (udp/51820) cannot be told", NULL },
	{ "in a set",
	  "table inet f { set bad { type ipv4_addr; elements = { 100.64.0.2 } }\n"
	  "chain in { type filter hook input priority 0;\nip saddr @bad drop } }\n",
	  DOCTOR_BAD, "in chain in", "" },
	{ "jump and return",
	  "table inet f { chain out { return\ndrop }\nchain good { jump out\nip daddr 100.64.0.1 "
	  "accept\nip6 daddr fd7a::1 accept\nudp dport 51820 accept }\n"
	  "chain in { type filter hook input priority 0; policy drop;\njump good\ndrop } }\n",
	  DOCTOR_GOOD, NULL, NULL },
	{ "goto does not come back",
	  "table inet f { chain sink { counter }\n"
	  "chain in { type filter hook input priority 0; policy drop;\ngoto sink\naccept } }\n",
	  DOCTOR_BAD, "by its policy, no rule accepts it", "" },
	{ "forwarding is not asked about",
	  "table inet f { chain fw { type filter hook forward priority 0; policy drop; } }\n",
	  DOCTOR_GOOD, NULL, NULL },
	{ "output",
	  "table inet f { chain out { type filter hook output priority 0; policy drop;\n"
	  "oifname \"lo\" accept\nudp sport 51820 accept } }\n",
	  DOCTOR_BAD, "drops what goes out to mesh0",
	  "nft insert rule inet f out oifname "
	  "\"mesh0\" accept" },
	{ "diverted",
	  "table ip nat { chain PREROUTING { type nat hook prerouting priority -100;\n"
	  "tcp dport 22 redirect to :2222 } }\n",
	  DOCTOR_WARN,
	  "iptables (table ip nat) sends what the map lets in from mesh0 (tcp/22) "
	  "elsewhere",
	  "" },
	{ "ufw",
	  "table ip filter { chain ufw-user-input { tcp dport 80 accept }\n"
	  "chain ufw-before-input { iifname \"lo\" accept\nct state related,established accept }\n"
	  "chain INPUT { type filter hook input priority 0; policy drop;\n"
	  "jump ufw-before-input\njump ufw-user-input } }\n",
	  DOCTOR_BAD, "ufw drops what the map lets in from mesh0", "ufw allow in on mesh0" },
	{ "ufw, allowed, but for the port",
	  "table ip filter { chain ufw-user-input { iifname \"mesh0\" accept }\n"
	  "chain INPUT { type filter hook input priority 0; policy drop;\njump ufw-user-input } "
	  "}\n",
	  DOCTOR_WARN, "ufw drops WireGuard's packets from outside", "ufw allow 51820/udp" },
	{ "firewalld",
	  "table inet firewalld { chain filter_IN_public { tcp dport 22 accept\n"
	  "reject with icmpx admin-prohibited }\n"
	  "chain filter_INPUT_ZONES { iifname \"eth0\" goto filter_IN_public\n"
	  "goto filter_IN_public }\n"
	  "chain filter_INPUT { type filter hook input priority filter + 10; policy accept;\n"
	  "ct state { established, related } accept\nct status dnat accept\niifname \"lo\" accept\n"
	  "ct state invalid drop\njump filter_INPUT_ZONES\nreject with icmpx admin-prohibited } "
	  "}\n",
	  DOCTOR_BAD,
	  "firewalld drops what the map lets in from mesh0 (tcp/8000, ping) in chain "
	  "filter_IN_public",
	  "firewall-cmd --permanent --zone=trusted --add-interface=mesh0" },
	{ "firewalld, trusted",
	  "table inet firewalld { chain filter_IN_trusted { accept }\n"
	  "chain filter_IN_public { udp dport 51820 accept\nreject }\n"
	  "chain filter_INPUT { type filter hook input priority filter + 10; policy accept;\n"
	  "iifname \"mesh0\" goto filter_IN_trusted\njump filter_IN_public\nreject } }\n",
	  DOCTOR_GOOD, NULL, NULL },
	{ "Tailscale",
	  "table ip filter { chain ts-input { iifname \"lo\" ip saddr 100.101.1.1 accept\n"
	  "iifname != \"tailscale0\" ip saddr 100.64.0.0/10 drop }\n"
	  "chain INPUT { type filter hook input priority 0; policy accept;\njump ts-input } }\n",
	  DOCTOR_BAD,
	  "Tailscale drops what the map lets in from mesh0 (tcp/22, tcp/8000, ping) in "
	  "chain ts-input",
	  "tailscale set --netfilter-mode=off" },
};

static json_t *load(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);

	assert_non_null(value);
	return value;
}

static void gather(struct doctor_facts *facts)
{
	*facts = (struct doctor_facts){
		.status = load(status_text),
		.peers = load(peers_text),
		.filter = load(filter_text),
		.mesh_index = 7,
		.default_device = "eth0",
		.default_index = 2,
	};
	assert_int_equal(fw_read(&facts->fw), 0);
}

/* The worst one; the first of several. */
static const struct doctor_finding *worst(const struct doctor_report *rep)
{
	for (size_t i = 0; i < rep->n; i++)
		if (rep->findings[i].state == doctor_worst(rep))
			return &rep->findings[i];
	return NULL;
}

/* What is said of the rules that are loaded. */
static void check(enum doctor_state state, const char *says, const char *advises)
{
	struct doctor_report rep = { .area = "firewall" };
	const struct doctor_finding *finding;
	struct doctor_facts facts;

	gather(&facts);
	doctor_check_firewall(&facts, &rep);
	assert_false(rep.failed);
	finding = worst(&rep);
	assert_non_null(finding);
	if (finding->state != state || (says && !strstr(finding->what, says)) ||
	    (advises && advises[0] && (!finding->remedy || !strstr(finding->remedy, advises))))
		fail_msg("%s: %s -> %s", doctor_state_to_string(finding->state), finding->what,
			 finding->remedy ? finding->remedy : "(nothing)");
	doctor_report_done(&rep);
	doctor_facts_done(&facts);
}

static void test_cases(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_message("%s\n", cases[i].what);
		run_nft(cases[i].rules, OURS);
		check(cases[i].state, cases[i].says, cases[i].advises);
	}
}

/* As ufw builds its rules: through iptables-nft, with matches and targets of xtables. */
#define UFW                                                                              \
	"-P INPUT DROP; -N ufw-not-local; -N ufw-logging-deny; -N ufw-user-input; "      \
	"-A ufw-logging-deny -m limit --limit 3/min -j LOG --log-prefix BLOCK; "         \
	"-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN; "                      \
	"-A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN; "                  \
	"-A ufw-not-local -j DROP; "                                                     \
	"-A INPUT -i lo -j ACCEPT; "                                                     \
	"-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; "                \
	"-A INPUT -m conntrack --ctstate INVALID -j DROP; "                              \
	"-A INPUT -m addrtype --dst-type BROADCAST -j DROP; -A INPUT -j ufw-not-local; " \
	"-A INPUT -j ufw-user-input; -A INPUT -j ufw-logging-deny; "

static const struct {
	const char *what, *commands; /* with ';' behind each */
	enum doctor_state state;
	const char *says;
} iptables_cases[] = {
	{ "as installed", UFW, DOCTOR_BAD,
	  "ufw drops what the map lets in from mesh0 (tcp/22, tcp/8000, ping): by its policy, no "
	  "rule accepts it" },
	{ "allowed",
	  UFW "-A ufw-user-input -i mesh0 -j ACCEPT; "
	      "-A ufw-user-input -p udp --dport 51820 -j ACCEPT; ",
	  DOCTOR_GOOD, NULL },
	{ "some ports",
	  UFW "-A ufw-user-input -p tcp -m multiport --dports 22,80,7000:7999 -j "
	      "ACCEPT; -A ufw-user-input -p udp -m udp --dport 51820 -j ACCEPT; ",
	  DOCTOR_BAD, "(tcp/8000, ping)" },
	{ "a range",
	  UFW "-A ufw-user-input -p tcp -m multiport --dports 22,7000:8999 -j ACCEPT; "
	      "-A ufw-user-input -p icmp -j ACCEPT; "
	      "-A ufw-user-input -p udp -m udp --dport 51820 -j ACCEPT; ",
	  DOCTOR_GOOD, NULL },
	{ "all ports but one",
	  UFW "-A ufw-user-input -p tcp -m tcp ! --dport 22 -j ACCEPT; "
	      "-A ufw-user-input -p icmp -j ACCEPT; "
	      "-A ufw-user-input -p udp -m udp ! --dport 53 -j ACCEPT; ",
	  DOCTOR_BAD, "(tcp/22): by its policy" },
	{ "denied",
	  UFW "-A ufw-user-input -p tcp --dport 22 -j REJECT; "
	      "-A ufw-user-input -i mesh0 -j ACCEPT; "
	      "-A ufw-user-input -p udp -m udp --dport 51820 -j ACCEPT; ",
	  DOCTOR_BAD, "(tcp/22) in chain ufw-user-input" },
	{ "new ones only", "-P INPUT DROP; -A INPUT -m state --state NEW -j ACCEPT; ", DOCTOR_GOOD,
	  NULL },
	{ "raw", "-t raw -A PREROUTING -p udp --dport 51820 -j DROP; ", DOCTOR_WARN,
	  "iptables (table ip raw) drops WireGuard's packets from outside (udp/51820)" },
	{ "mangle", "-t mangle -A POSTROUTING -o mesh0 -j DROP; ", DOCTOR_BAD,
	  "iptables (table ip mangle) drops what goes out to mesh0" },
	{ "a host of containers",
	  "-t nat -N DOCKER; -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER; "
	  "-t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER; "
	  "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE; "
	  "-t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to 172.17.0.2:80; ",
	  DOCTOR_GOOD, NULL },
	{ "sent elsewhere", "-t nat -A PREROUTING -p tcp --dport 8000 -j DNAT --to 10.0.0.1; ",
	  DOCTOR_WARN, "(tcp/8000) elsewhere" },
};

static void run_iptables(const char *commands)
{
	_cleanup_free_ char *copy = strdup(commands);
	char *rest = copy;

	for (char *one = strsep(&rest, ";"); one; one = strsep(&rest, ";")) {
		_cleanup_free_ char *line = text_printf("iptables-nft %s", one);

		if (one[0] && strcmp(one, " ") != 0)
			assert_int_equal(system(line), 0);
	}
}

static void test_iptables(void **state)
{
	if (system("iptables-nft --version >/dev/null 2>&1") != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(iptables_cases); i++) {
		print_message("iptables: %s\n", iptables_cases[i].what);
		run_nft("", OURS);
		run_iptables(iptables_cases[i].commands);
		check(iptables_cases[i].state, iptables_cases[i].says, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_iptables),
	};

	if (unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "no namespace of our own: %s; this test needs root\n",
			strerror(errno));
		return EXIT_SKIP;
	}
	/* What rules of devices can be put at. */
	if (system("ip link add mesh0 type veth peer name eth0") != 0)
		return EXIT_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
