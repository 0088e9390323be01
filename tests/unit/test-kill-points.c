/*
 * The agent's process may be killed at any moment: also between two messages of a change. What it
 * leaves in the kernel then must allow no more than old and new map together, and the link must not
 * be open without the table. The next start makes everything as it should be.
 *
 * A child does what the agent does, in a network namespace; it is traced, and killed before or
 * after a random message to the kernel. Where the kernel has no WireGuard, wg-stand-in.h is in its
 * place: all the rest is real.
 *
 * The same goes for an apply that fails because an answer of the kernel's got lost; and the next
 * one has to make it good.
 *
 * KILL_POINTS=N: so many; else 500. KILL_SEED=N: as another run, which printed N.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "agent/filter/compile.h"
#include "agent/filter/diff.h"
#include "agent/kernel/kernel.h"
#include "agent/nft/nft.h"
#include "agent/nft/observe.h"
#include "agent/rtnl/rtnl.h"
#include "agent/wg/wanted.h"
#include "agent/wg/wg.h"
#include "common/text.h"
#include "tests/unit/netns.h"
#include "tests/unit/wg-stand-in.h"

#define NOW	     1795564800000000u
#define IFNAME	     WG_STAND_IN_NAME
#define OLD_IFNAME   WG_STAND_IN_OTHER_NAME
#define SYSCALL_STOP (SIGTRAP | 0x80)

/* -- answers that are lost */

static struct {
	unsigned failing; /* this receive fails, counted from 1; 0: none */
	unsigned n;	  /* receives so far */
} receives;

ssize_t __real_recvmsg(int fd, struct msghdr *mh, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *mh, int flags);

ssize_t __wrap_recvmsg(int fd, struct msghdr *mh, int flags)
{
	if (++receives.n != receives.failing)
		return __real_recvmsg(fd, mh, flags);
	errno = ENOBUFS;
	return -1;
}

/* -- maps */

static unsigned below(unsigned n)
{
	return (unsigned)random() % n;
}

static const char *const keys[] = {
	"dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=",
	"M3d3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=",
	"NHd3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=",
};

/* A rule for one source, of both families or of what is behind a router. */
static void print_rule(FILE *out, const char *comma, const char *src, const char *dst)
{
	unsigned port = below(2) ? 22 : 80;

	fprintf(out,
		"%s{\"src\": [\"%s\"], \"proto\": [6], \"dst\": [{\"ip\": \"%s\", \"ports\": "
		"[%u, %u]}]}",
		comma, src, dst, port, port + below(2));
}

static void print_rules(FILE *out, unsigned self)
{
	const char *comma = "";

	for (unsigned i = 0; i < 13; i++) {
		bool v6 = i >= 5 && i < 10;
		char src[32], dst[32];

		if (below(3) == 0)
			continue;
		snprintf(dst, sizeof(dst), v6 ? "fd00:1::%u" : "100.64.0.%u", self);
		if (i < 10)
			snprintf(src, sizeof(src), v6 ? "fd00:1::%u" : "100.64.0.%u", 11 + i % 5);
		else
			snprintf(src, sizeof(src), "10.%u.0.0/24", i - 10);
		print_rule(out, comma, src, dst);
		comma = ", ";
	}
}

/* Some of three peers, with some of five addresses and networks, and rights of their addresses. */
static struct netmap *random_map(void)
{
	_cleanup_free_ char *text = NULL, *error = NULL;
	unsigned self = below(4) ? 1 : 9, first = below(15);
	const char *comma = "";
	struct netmap *map = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fprintf(out,
		"{\"type\": \"full\", \"version\": 1, \"for\": \"n1\", \"generation\": 1, "
		"\"self\": "
		"{\"id\": \"n1\", \"name\": \"server\", \"addresses\": "
		"[\"100.64.0.%u\", \"fd00:1::%u\"], \"ssh\": %s},"
		" \"mesh\": {\"domain\": \"mesh.example\", \"prefixes\": [\"100.64.0.0/10\", "
		"\"fd00:1::/48\"]},"
		" \"ssh_rules\": [], \"peers\": [",
		self, self, below(4) ? "true" : "false");
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		if (below(4) == 0)
			continue;
		fprintf(out,
			"%s{\"id\": \"p%u\", \"name\": \"p%u\", \"node_key\": \"%s\","
			" \"addresses\": [\"100.64.0.%u\", \"fd00:1::%u\"]",
			comma, i, i, keys[i], 11 + (first + i) % 5, 11 + (first + i) % 5);
		if (below(2))
			fprintf(out, ", \"routes\": [\"10.%u.0.0/16\"]", (first + i) % 3);
		fputc('}', out);
		comma = ", ";
	}
	fprintf(out, "], \"packet_filter\": [");
	print_rules(out, self);
	fprintf(out, "]}");
	fclose(out);
	if (netmap_parse(text, strlen(text), "m", &error, &map) < 0)
		fail_msg("%s\n%s", error, text);
	return map;
}

/* What a map (NULL: none) allows, and to whom. */
struct rights {
	struct filter_table *filter;
	struct wg_device *wg;
};

static struct rights rights_of(const struct netmap *map)
{
	static const struct wg_device settings;
	_cleanup_free_ char *error = NULL;
	struct rights rights = { 0 };

	assert_int_equal(filter_compile(map, NOW, &rights.filter, &error), 0);
	assert_int_equal(wg_wanted(map, NOW, &settings, &rights.wg), 0);
	return rights;
}

static void rights_done(struct rights *rights)
{
	filter_table_free(rights->filter);
	wg_device_free(rights->wg);
}

static bool holds(const struct wg_peer *peer, const struct ip_addr *addr)
{
	for (size_t i = 0; peer && i < peer->n_allowed; i++)
		if (ip_prefix_contains(&peer->allowed[i], addr))
			return true;
	return false;
}

static bool allows(const struct rights *rights, const struct wg_key *key, const struct ip_addr *src,
		   const struct ip_addr *dst, uint16_t port)
{
	return holds(wg_device_find(rights->wg, key), src) &&
	       filter_table_allows(rights->filter, src, dst, IPPROTO_TCP, port, NULL);
}

/* -- the child */

enum phase {
	START,	 /* nothing was there */
	CHANGE,	 /* the agent runs, and gets another map */
	RESTART, /* another agent finds what the last one has left, and has another map */
	RENAME,	 /* and another name for the link (Interface=) */
	STOP,
	/* The agent runs; somebody does damage, and then there is another map besides. */
	FLUSHED,      /* of the table, which they may as it is not owned */
	DELETED,      /* likewise */
	LINK_DELETED, /* under an owned table */
	N_PHASES,
};

static const char *const phase_names[N_PHASES] = {
	"start", "change", "restart", "rename", "stop", "flushed", "deleted", "link deleted",
};

static const char *const damages[N_PHASES] = {
	[FLUSHED] = "nft flush ruleset",
	[DELETED] = "nft delete table inet peergate",
	[LINK_DELETED] = "ip link del " IFNAME,
};

static bool table_is_lost(enum phase phase)
{
	return phase == FLUSHED || phase == DELETED;
}

static struct kernel *open_kernel(sd_event *event, const char *ifname, bool own_table)
{
	const struct kernel_config config = {
		.ifname = ifname,
		.listen_port = 51820,
		.gateway_port = 2022,
		.own_table = own_table,
	};
	struct wg_key key = { .bytes = { 1, 2, 3 } };
	struct kernel *kernel = NULL;

	if (kernel_new(event, &config, &key, &kernel) < 0)
		_exit(10);
	return kernel;
}

static struct kernel_changes apply(struct kernel *kernel, const struct netmap *map)
{
	struct kernel_changes changes;
	char *error = NULL;

	if (kernel_apply(kernel, map, NOW, &changes, &error) < 0) {
		fprintf(stderr, "apply: %s\n", error);
		_exit(11);
	}
	return changes;
}

/* From here on the parent counts, and may kill. */
static void begin(void)
{
	raise(SIGSTOP);
}

static _Noreturn void child(enum phase phase, const struct netmap *old, const struct netmap *new)
{
	sd_event *event = NULL;
	bool own = !table_is_lost(phase);
	struct kernel *kernel;
	char *error = NULL;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	if (sd_event_new(&event) < 0)
		_exit(12);
	kernel = open_kernel(event, phase == RENAME ? OLD_IFNAME : IFNAME, own);
	if (phase != START)
		apply(kernel, old);
	if (phase == RESTART || phase == RENAME || phase == STOP) {
		kernel_free(kernel);
		kernel = open_kernel(phase == STOP ? NULL : event, IFNAME, own);
	}
	if (damages[phase] && system(damages[phase]) != 0)
		_exit(14);
	begin();
	if (phase != STOP)
		apply(kernel, new);
	else if (kernel_down(kernel, &error) < 0) {
		fprintf(stderr, "down: %s\n", error);
		_exit(13);
	}
	_exit(0);
}

/* Before and after a call that is a kill point. *in: it has begun. */
static bool is_kill_point(pid_t pid, bool *in)
{
	struct __ptrace_syscall_info info = { 0 };
	bool was_in = *in;

	assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0);
	*in = info.op == PTRACE_SYSCALL_INFO_ENTRY &&
	      (info.entry.nr == SYS_sendto || info.entry.nr == SYS_sendmsg ||
	       info.entry.nr == SYS_getppid);
	return *in || was_in;
}

static int next_stop(pid_t pid, int request)
{
	int status;

	assert_int_equal(ptrace(request, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Return: 0: it was killed at the n-th point; else how many it came by until it was done. */
static unsigned run_and_kill(enum phase phase, const struct netmap *old, const struct netmap *new,
			     unsigned n)
{
	unsigned seen = 0;
	bool in = false;
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child(phase, old, new);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD), 0);
	do
		status = next_stop(pid, PTRACE_CONT);
	while (WIFSTOPPED(status) && WSTOPSIG(status) != SIGSTOP);
	while (WIFSTOPPED(status) && seen < n) {
		status = next_stop(pid, PTRACE_SYSCALL);
		if (WIFSTOPPED(status) && WSTOPSIG(status) == SYSCALL_STOP)
			seen += is_kill_point(pid, &in);
	}
	if (WIFSTOPPED(status)) {
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		return 0;
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	return seen;
}

/* -- what is in the kernel then */

struct sight {
	struct rtnl_link_state link; /* ifindex 0: none */
	bool in_force, by_its_name;  /* the table, and it is the one for a link of that name */
	struct nft_observed nft;
	struct wg_device *wg;
};

static bool in_force(const char *ifname)
{
	const struct nft_config config = { .ifname = ifname, .gateway_port = 2022 };
	_cleanup_(nft_freep) struct nft *nft = NULL;

	assert_int_equal(nft_open(NULL, &config, &nft), 0);
	return nft_in_force(nft);
}

static void look(struct sight *sight)
{
	_cleanup_(nlsock_freep) struct nlsock *sock = NULL;
	_cleanup_(rtnl_freep) struct rtnl *rtnl = NULL;
	_cleanup_(wg_freep) struct wg *wg = NULL;

	*sight = (struct sight){ 0 };
	assert_int_equal(nlsock_open(NETLINK_NETFILTER, &sock), 0);
	assert_int_equal(rtnl_open(&rtnl), 0);
	assert_int_equal(wg_open(&wg), 0);
	/* Either keeps to the link's group, too. */
	sight->in_force = in_force(IFNAME) || in_force(OLD_IFNAME);
	assert_int_equal(nft_observe(sock, &sight->nft), 0);
	/* Without a mark: half made. */
	if (rtnl_find_marked_link(rtnl, 0, &sight->link) != 0 &&
	    rtnl_get_link(rtnl, IFNAME, &sight->link) != 0) {
		sight->link.ifindex = 0;
		return;
	}
	sight->by_its_name = in_force(sight->link.name);
	assert_int_equal(wg_get(wg, sight->link.name, &sight->wg), 0);
}

static void sight_done(struct sight *sight)
{
	nft_observed_done(&sight->nft);
	wg_device_free(sight->wg);
}

static struct ip_addr address4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct ip_addr){ AF_INET, { a, b, c, d } };
}

/* fd00:1::TEXT, as the maps have the number in decimal digits */
static struct ip_addr address6(unsigned number)
{
	struct ip_addr addr;
	char text[32];

	snprintf(text, sizeof(text), "fd00:1::%u", number);
	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

/* Whether it is one of a peer, of each family, or behind a router. Return: how many. */
static size_t all_sources(struct ip_addr *sources)
{
	size_t n = 0;

	for (uint8_t i = 11; i < 16; i++) {
		sources[n++] = address4(100, 64, 0, i);
		sources[n++] = address6(i);
	}
	for (uint8_t i = 0; i < 3; i++)
		sources[n++] = address4(10, i, 0, 7);
	return n;
}

static void check_source(const struct rights *now, const struct rights *old,
			 const struct rights *new, const struct wg_key *key,
			 const struct ip_addr *src, const char *where)
{
	static const uint8_t own[] = { 1, 9 };
	static const uint16_t ports[] = { 22, 23, 80, 81, 443 };

	for (size_t d = 0; d < 2 * ARRAY_SIZE(ports); d++) {
		uint8_t to = own[d % 2];
		struct ip_addr dst =
			src->family == AF_INET ? address4(100, 64, 0, to) : address6(to);
		uint16_t port = ports[d / 2];
		char text[IP_ADDR_STRLEN];

		if (allows(now, key, src, &dst, port) && !allows(old, key, src, &dst, port) &&
		    !allows(new, key, src, &dst, port))
			fail_msg("%s: peer %c... may reach %u, port %u, from %s", where,
				 key->bytes[0], to, port, ip_addr_to_string(src, text));
	}
}

/* Everything that peers may do now they might do by the old map, or may by the new. */
static void check_rights(const struct sight *sight, const struct rights *old,
			 const struct rights *new, const char *where)
{
	const struct rights now = { sight->nft.table, sight->wg };
	struct ip_addr sources[16];
	size_t n = all_sources(sources);

	for (size_t i = 0; i < sight->wg->n_peers; i++)
		for (size_t s = 0; s < n; s++)
			check_source(&now, old, new, &sight->wg->peers[i].key, &sources[s], where);
}

/* Somebody has taken the table away: until it is there again, nobody new may come. */
static void check_peers(const struct sight *sight, const struct rights *old, const char *where)
{
	for (size_t i = 0; i < sight->wg->n_peers; i++) {
		const struct wg_peer *peer = &sight->wg->peers[i];
		const struct wg_peer *before = wg_device_find(old->wg, &peer->key);

		for (size_t j = 0; j < peer->n_allowed; j++)
			if (!holds(before, &peer->allowed[j].addr))
				fail_msg("%s: peer %c... got an address, and no table in force",
					 where, peer->key.bytes[0]);
	}
}

static void check(enum phase phase, const struct rights *old, const struct rights *new,
		  const char *where)
{
	struct sight sight;

	look(&sight);
	if (table_is_lost(phase) && !sight.nft.exists) {
		check_peers(&sight, old, where);
	} else if (sight.link.ifindex && (sight.link.up || sight.wg->n_peers > 0)) {
		if (!sight.in_force)
			fail_msg("%s: the link is %s with %zu peers, and no table in force", where,
				 sight.link.up ? "up" : "down", sight.wg->n_peers);
		if (!sight.link.grouped)
			fail_msg("%s: link %s is not in its group", where, sight.link.name);
		if (sight.link.up && !sight.by_its_name)
			fail_msg("%s: link %s is up, and the table is another name's", where,
				 sight.link.name);
		check_rights(&sight, old, new, where);
	}
	sight_done(&sight);
}

/* A new agent makes it exactly so, and finds nothing to do when it looks again. */
static void check_recovery(const struct netmap *map, const struct rights *wanted, const char *where)
{
	static const struct kernel_changes none;
	struct kernel *kernel = open_kernel(NULL, IFNAME, true);
	struct kernel_changes changes;
	struct filter_diff diff;
	struct sight sight;

	apply(kernel, map);
	changes = apply(kernel, map);
	assert_memory_equal(&changes, &none, sizeof(none));
	kernel_free(kernel);
	look(&sight);
	if (!sight.link.up || !sight.link.marked || !sight.by_its_name)
		fail_msg("%s: after recovery the link is not up, or the table not in force", where);
	assert_int_equal(filter_diff_build(sight.nft.table, wanted->filter, &diff), 0);
	assert_true(filter_diff_empty(&diff));
	filter_diff_done(&diff);
	assert_int_equal(sight.wg->n_peers, wanted->wg->n_peers);
	for (size_t i = 0; i < sight.wg->n_peers; i++) {
		const struct wg_peer *a = &sight.wg->peers[i], *b = &wanted->wg->peers[i];

		assert_true(wg_key_equal(&a->key, &b->key));
		assert_int_equal(a->n_allowed, b->n_allowed);
		for (size_t j = 0; j < a->n_allowed; j++)
			assert_int_equal(ip_prefix_compare(&a->allowed[j], &b->allowed[j]), 0);
	}
	sight_done(&sight);
}

static void wipe(void)
{
	struct kernel *kernel = open_kernel(NULL, IFNAME, true);
	char *error = NULL;

	if (kernel_down(kernel, &error) < 0)
		fail_msg("%s", error);
	kernel_free(kernel);
	wg_stand_in_wipe();
}

static void kill_once(enum phase phase, unsigned number)
{
	_cleanup_(netmap_freep) struct netmap *old_map = random_map(), *new_map = random_map();
	/* Nothing is allowed before the start; and the stop takes away. */
	struct rights old = rights_of(phase == START ? NULL : old_map);
	struct rights new = rights_of(phase == STOP ? NULL : new_map);
	struct rights wanted = rights_of(new_map);
	_cleanup_free_ char *where = NULL;
	unsigned n = 1 + below(60), total;

	total = run_and_kill(phase, old_map, new_map, n);
	if (total > 0) {
		wipe();
		n = 1 + n % total;
		assert_int_equal(run_and_kill(phase, old_map, new_map, n), 0);
	}
	where = text_printf("kill %u, %s, message %u %s", number, phase_names[phase], (n + 1) / 2,
			    n % 2 ? "not sent" : "sent");
	check(phase, &old, &new, where);
	check_recovery(new_map, &wanted, where);
	wipe();
	rights_done(&old);
	rights_done(&new);
	rights_done(&wanted);
}

static unsigned setting(const char *name, unsigned fallback)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : fallback;
}

static bool played; /* WireGuard */

static void test_kill_points(void **state)
{
	unsigned n = setting("KILL_POINTS", 500), seed = setting("KILL_SEED", (unsigned)time(NULL));

	srandom(seed);
	print_message("%u kill points, KILL_SEED=%u, WireGuard %s\n", n, seed,
		      played ? "played" : "real");
	wipe();
	for (unsigned i = 0; i < n; i++)
		kill_once((enum phase)(i % N_PHASES), i);
}

struct change {
	struct netmap *old_map, *new_map;
	struct rights old, new;
};

static void random_change(struct change *ret_change)
{
	struct change change = { random_map(), random_map() };

	change.old = rights_of(change.old_map);
	change.new = rights_of(change.new_map);
	*ret_change = change;
}

static void change_done(struct change *change)
{
	rights_done(&change->old);
	rights_done(&change->new);
	netmap_free(change->old_map);
	netmap_free(change->new_map);
}

/*
 * The agent that failed goes on: after its next attempt there is nothing left for another to do.
 * kernel is consumed: there is one at a time.
 */
static void check_next_attempt(struct kernel *kernel, const struct change *change,
			       const char *where)
{
	static const struct kernel_changes none;
	struct kernel_changes changes;
	struct kernel *other;

	check(CHANGE, &change->old, &change->new, where);
	apply(kernel, change->new_map);
	kernel_free(kernel);
	other = open_kernel(NULL, IFNAME, true);
	changes = apply(other, change->new_map);
	assert_memory_equal(&changes, &none, sizeof(none));
	kernel_free(other);
	check_recovery(change->new_map, &change->new, where);
}

static struct kernel *begin_with_old(const struct change *change)
{
	struct kernel *kernel = open_kernel(NULL, IFNAME, true);

	apply(kernel, change->old_map);
	return kernel;
}

static void lose_each_answer(const struct change *change)
{
	unsigned n = 0, n_seen;

	do {
		struct kernel *kernel = begin_with_old(change);
		_cleanup_free_ char *error = NULL, *where = text_printf("answer %u lost", ++n);
		struct kernel_changes changes;

		receives.n = 0;
		receives.failing = n;
		(void)kernel_apply(kernel, change->new_map, NOW, &changes, &error);
		n_seen = receives.n;
		receives.failing = 0;
		check_next_attempt(kernel, change, where);
	} while (n_seen >= n);
	print_message("%u answers, each of which was lost\n", n - 1);
	assert_true(n > 1);
}

static void test_lost_answers(void **state)
{
	struct change change;

	random_change(&change);
	lose_each_answer(&change);
	change_done(&change);
	wipe();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill_points),
		cmocka_unit_test(test_lost_answers),
	};

	if (!netns_enter())
		return NETNS_SKIP;
	played = wg_stand_in_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
