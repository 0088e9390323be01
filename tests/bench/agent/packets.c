/*
 * What the table costs a packet: a flood of UDP from many peers through a veth pair, whose end in
 * the host is named mesh0. A last table counts what got through and drops it, so that no socket is
 * measured. Variants take turns.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/filter/compile.h"
#include "agent/nft/nft.h"
#include "tests/bench/agent/bench.h"
#include "tests/bench/agent/workload.h"

#define BATCH	    64
#define PACKETS	    (BATCH * 4000)
#define MAX_SENDERS 1024u

enum variant {
	NOTHING,   /* no table at all */
	CONNTRACK, /* a table that asks for the connection's state and accepts */
	OURS,
	PER_ACL, /* a set and a rule for each ACL, one after the other */
};

struct host {
	const char *name;
	enum variant variant;
	struct workload w;
	int host_ns, peers_ns;
	int socket; /* raw, in peers_ns */
	double ns[BENCH_ROUNDS];
};

static void enter(int ns)
{
	if (setns(ns, CLONE_NEWNET) < 0)
		bench_die("setns: %m");
}

static int new_namespace(void)
{
	int fd;

	bench_new_namespace();
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		bench_die("/proc/self/ns/net: %m");
	return fd;
}

static void connect_host(struct host *h)
{
	h->peers_ns = new_namespace();
	h->host_ns = new_namespace();
	bench_run("ip link add mesh0 address 02:00:00:00:00:01 type veth peer name peer0 address "
		  "02:00:00:00:00:01 && ip link set peer0 netns /proc/%d/fd/%d",
		  getpid(), h->peers_ns);
	bench_run("ip addr add " WORKLOAD_SELF " dev mesh0 && ip link set mesh0 arp off up && ip "
		  "route add " WORKLOAD_PREFIX " dev mesh0");
	bench_run(
		"nft 'table inet sink { chain input { type filter hook input priority 200; iifname "
		"mesh0 counter drop; }; }'");
	enter(h->peers_ns);
	bench_run("ip link set peer0 arp off up && ip route add default dev peer0");
	h->socket = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (h->socket < 0)
		bench_die("raw socket: %m");
	enter(h->host_ns);
}

static void install_ours(const struct workload *w)
{
	const struct nft_config config = { .ifname = "mesh0", .gateway_port = 2022 };
	_cleanup_(filter_table_freep) struct filter_table *old = NULL;
	_cleanup_(netmap_freep) struct netmap *map = workload_map(w, false);
	_cleanup_(nft_freep) struct nft *nft = NULL;
	_cleanup_free_ char *error = NULL;
	struct filter_table *table;
	struct nft_changes changes;

	if (filter_compile(map, WORKLOAD_NOW, &table, &error) < 0 ||
	    nft_open(NULL, &config, &nft) < 0 ||
	    nft_apply(nft, table, false, &changes, &old, &error) < 0)
		bench_die("%s", error ? error : "no memory");
}

static void write_set(FILE *out, const struct workload *w, unsigned rule)
{
	unsigned n = workload_classes(w);

	fprintf(out, "set s%u { type ipv4_addr; elements = {", rule);
	for (unsigned k = 0; k < WORKLOAD_CLASSES; k++) {
		for (unsigned i = workload_rule_class(w, rule, k); i < w->n_peers; i += n) {
			struct in_addr addr = { .s_addr = htonl(workload_address(i)) };

			fprintf(out, "%s,", inet_ntoa(addr));
		}
	}
	fputs("} }\n", out);
}

/* What one writes by hand, with the same meaning: questions are judged anew each time. */
static void install_per_acl(const struct workload *w)
{
	FILE *out = popen("nft -f -", "we");
	uint16_t first;

	if (!out)
		bench_die("nft: %m");
	fputs("table inet naive {\n", out);
	for (unsigned r = 0; r < w->n_rules; r++)
		write_set(out, w, r);
	fputs("chain input { type filter hook input priority 0;\niifname != mesh0 accept\n"
	      "ct direction reply ct state established,related accept\n",
	      out);
	for (unsigned r = 0; r < w->n_rules; r++) {
		unsigned n = workload_rule_ports(r, &first);

		fprintf(out, "ip saddr @s%u meta l4proto {tcp, udp} th dport {", r);
		for (unsigned k = 0; k < n; k++)
			fprintf(out, "%u-%u,", first + 20 * k, first + 20 * k + workload_span(k));
		fputs("} counter accept\n", out);
	}
	fputs("drop\n}\n}\n", out);
	if (pclose(out) != 0)
		bench_die("nft refused the rules");
}

static void install(struct host *h)
{
	connect_host(h);
	switch (h->variant) {
	case NOTHING:
		break;
	case CONNTRACK:
		bench_run("nft 'table inet tracking { chain input { type filter hook input "
			  "priority 0; ct "
			  "direction reply ct state established accept; }; }'");
		break;
	case OURS:
		install_ours(&h->w);
		break;
	case PER_ACL:
		install_per_acl(&h->w);
		break;
	}
}

struct datagram {
	struct iphdr ip;
	struct udphdr udp;
};

/* From a peer to a port that it may send to. */
static struct datagram datagram(const struct workload *w, unsigned peer)
{
	return (struct datagram){
		.ip = {
			.version = 4,
			.ihl = 5,
			.ttl = 64,
			.protocol = IPPROTO_UDP,
			.saddr = htonl(workload_address(peer)),
			.daddr = inet_addr(WORKLOAD_SELF),
		},
		.udp = {
			.source = htons(9999),
			.dest = htons(workload_port(w, peer)),
			.len = htons(sizeof(struct udphdr)),
		},
	};
}

static long passed(void)
{
	FILE *in = popen("nft list table inet sink", "re");
	char line[256];
	long n = -1;

	while (in && fgets(line, sizeof(line), in)) {
		const char *at = strstr(line, "packets ");

		if (at)
			n = strtol(at + strlen("packets "), NULL, 10);
	}
	if (!in || pclose(in) != 0 || n < 0)
		bench_die("nft list failed");
	return n;
}

/*
 * A veth pair delivers in the sender's own context, so that its CPU time holds both sides, and what
 * others do on the machine counts for little.
 */
static double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double flood(const struct host *h, unsigned n_senders)
{
	static struct datagram packets[MAX_SENDERS];
	static struct iovec iov[MAX_SENDERS];
	static struct mmsghdr messages[MAX_SENDERS];
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = inet_addr(WORKLOAD_SELF) };
	double start;

	for (unsigned i = 0; i < MAX_SENDERS; i++) {
		packets[i] = datagram(&h->w, i % n_senders * (h->w.n_peers / n_senders));
		iov[i] = (struct iovec){ &packets[i], sizeof(packets[i]) };
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = &to,
			.msg_namelen = sizeof(to),
			.msg_iov = &iov[i],
			.msg_iovlen = 1,
		};
	}
	start = cpu_ns();
	for (unsigned sent = 0; sent < PACKETS; sent += BATCH)
		if (sendmmsg(h->socket, messages + sent % MAX_SENDERS, BATCH, 0) != BATCH)
			bench_die("sendmmsg: %m");
	return (cpu_ns() - start) / PACKETS;
}

static void measure(struct host *h, size_t round)
{
	unsigned n_senders = h->w.n_peers < MAX_SENDERS ? h->w.n_peers : MAX_SENDERS;
	long before;

	enter(h->host_ns);
	before = passed();
	enter(h->peers_ns);
	h->ns[round] = flood(h, n_senders);
	enter(h->host_ns);
	if (passed() - before < PACKETS * 99L / 100)
		bench_die("%s: only %ld of %d packets got through", h->name, passed() - before,
			  PACKETS);
}

void bench_packets(void)
{
	static struct host hosts[] = {
		{ "no table", NOTHING, { 100, 10 } },
		{ "conntrack only", CONNTRACK, { 100, 10 } },
		{ "ours", OURS, { 100, 10 } },
		{ "ours", OURS, { 10000, 10 } },
		{ "ours", OURS, { 100, 100 } },
		{ "ours", OURS, { 1000, 100 } },
		{ "ours", OURS, { 10000, 100 } },
		{ "ours", OURS, { 100, 1000 } },
		{ "ours", OURS, { 10000, 1000 } },
		{ "rule per ACL", PER_ACL, { 100, 10 } },
		{ "rule per ACL", PER_ACL, { 1000, 100 } },
		{ "rule per ACL", PER_ACL, { 10000, 1000 } },
	};
	double none;

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
		install(&hosts[i]);
	for (size_t round = 0; round < BENCH_ROUNDS; round++)
		for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
			measure(&hosts[i], round);
	none = bench_median(hosts[0].ns, BENCH_ROUNDS);
	puts("| filter | peers | rules | ns/packet | above no table | packets/s |\n"
	     "|---|--:|--:|--:|--:|--:|");
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		double ns = bench_median(hosts[i].ns, BENCH_ROUNDS);

		printf("| %s | %u | %u | %.0f | %.0f | %.0f |\n", hosts[i].name, hosts[i].w.n_peers,
		       hosts[i].w.n_rules, ns, ns - none, 1e9 / ns);
	}
}
