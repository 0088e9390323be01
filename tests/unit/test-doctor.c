/* What agentctl doctor says of facts: those of a healthy host, changed in one place each. */
#include <netinet/in.h>

#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/ctl/doctor/doctor.h"
#include "common/clock.h"
#include "common/text.h"

#define NOW UINT64_C(1800000000000000)

static const char status_text[] =
	"{\"version\": \"1.0\", \"interface\": \"mesh0\", \"listenPort\": 51820,"
	" \"gatewayPort\": 2022, \"fwmark\": 0, \"mapSource\": \"/etc/peergate/netmap.json\","
	" \"nodeId\": \"n1\", \"addresses\": [\"100.64.0.1\"], \"generation\": 7,"
	" \"prefixes\": [\"100.64.0.0/10\"], \"issuedAt\": 1799999999000000, \"ssh\": true,"
	" \"warnings\": []}";
static const char peers_text[] =
	"{\"peers\": ["
	" {\"node\": {\"nodeName\": \"laptop\", \"addresses\": [\"100.64.0.2\"], \"online\": true,"
	"             \"keyExpired\": false},"
	"  \"endpoint\": \"192.0.2.2:51820\", \"lastHandshake\": 1799999990000000},"
	" {\"node\": {\"nodeName\": \"phone\", \"addresses\": [\"100.64.0.3\"], \"online\": true,"
	"             \"keyExpired\": false},"
	"  \"endpoint\": \"192.0.2.3:51820\", \"lastHandshake\": 1799999990000000},"
	" {\"node\": {\"nodeName\": \"tablet\", \"addresses\": [\"100.64.0.4\"], \"online\": true,"
	"             \"keyExpired\": false},"
	"  \"endpoint\": \"192.0.2.4:51820\", \"lastHandshake\": 1799999990000000}]}";
static const char sockets[] =
	"  sl  local_address rem_address   st tx_queue rx_queue\n"
	"   0: 00000000:CA6C 00000000:0000 07 00000000:00000000 00:00000000\n"
	"   1: 0100007F:07E6 00000000:0000 0A 00000000:00000000 00:00000000\n";
static const char ssh_text[] =
	"user alice\nport 22\nloglevel INFO\nstricthostkeychecking ask\nhostname laptop\n"
	"globalknownhostsfile /etc/ssh/ssh_known_hosts /run/peergate/ssh_known_hosts\n";

static json_t *load(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);

	assert_non_null(value);
	return value;
}

static void set_text(char **field, const char *text)
{
	free(*field);
	*field = text ? strdup(text) : NULL;
}

static void add_route(struct doctor_facts *f, const char *peer, const char *addr,
		      const char *device)
{
	struct doctor_route *route = &f->routes[f->n_routes++];

	*route = (struct doctor_route){ .peer = peer };
	assert_int_equal(ip_addr_parse(addr, &route->addr), 0);
	strcpy(route->device, device);
}

static void make_healthy(struct doctor_facts *f)
{
	*f = (struct doctor_facts){
		.version = "1.0",
		.now_usec = NOW,
		.status = load(status_text),
		.peers = load(peers_text),
		.asked = load("{\"laptop\": true, \"phone\": true, \"tablet\": true}"),
		.mesh_index = 7,
		.mtu = 1420,
		.conntrack_count = 10,
		.conntrack_max = 1000,
		.clock_synced = true,
		.gateway_installed = true,
		.gateway_account = true,
		.pam_service = true,
		.host_keys = true,
		.fw_error = -EPERM,
	};
	set_text(&f->udp, sockets);
	set_text(&f->tcp, sockets);
	set_text(&f->tcp6, sockets);
	set_text(&f->release, "6.1.0-56-amd64");
	set_text(&f->ceiling, "SSH=yes\n");
	set_text(&f->sshd_config, "Port 22\nUsePAM yes\n");
	set_text(&f->nsswitch, "passwd: files\nhosts:          files dns\n");
	set_text(&f->user, "alice");
	f->names[0].name = strdup("laptop");
	f->names[0].ssh = strdup(ssh_text);
	f->names[0].resolved = true;
	f->n_names = 1;
	f->routes = calloc(4, sizeof(*f->routes));
	add_route(f, "laptop", "100.64.0.2", "mesh0");
	add_route(f, "phone", "100.64.0.3", "mesh0");
}

/* ---- changes ---- */

static void put(struct doctor_facts *f, const char *key, json_t *value)
{
	assert_int_equal(json_object_set_new(f->status, key, value), 0);
}

static json_t *peer(struct doctor_facts *f, size_t i)
{
	return json_array_get(json_object_get(f->peers, "peers"), i);
}

static void quiet(struct doctor_facts *f, size_t i)
{
	(void)json_object_del(peer(f, i), "lastHandshake");
}

static void warn(struct doctor_facts *f, const char *code, const char *message)
{
	put(f, "warnings", json_pack("[{s:s, s:s}]", "code", code, "message", message));
}

static void ssh_line(struct doctor_facts *f, const char *line)
{
	free(f->names[0].ssh);
	/* The first one counts. */
	f->names[0].ssh = text_printf("%s\n%s", line, ssh_text);
}

static void add_link(struct doctor_facts *f, const char *name, const char *addr)
{
	strcpy(f->links[f->n_links].name, name);
	assert_int_equal(ip_addr_parse(addr, &f->links[f->n_links++].addr), 0);
}

#define CHANGE(name) static void name(struct doctor_facts *f)

/* clang-format off */
CHANGE(no_change) { (void)f; }
CHANGE(no_agent) { json_decref(f->status); f->status = NULL; f->agent_error = -ECONNREFUSED; }
CHANGE(no_permission) { json_decref(f->status); f->status = NULL; f->agent_error = -EACCES; }
CHANGE(hung_agent) { json_decref(f->status); f->status = NULL; f->agent_error = -ETIME; }
CHANGE(other_version) { f->version = "1.1"; }
CHANGE(no_map) { (void)json_object_del(f->status, "generation"); }
CHANGE(no_map_of_link) { (void)json_object_del(f->status, "generation"); put(f, "link", json_object()); }
CHANGE(refused_map) { put(f, "mapProblem", json_string("peers[3].name: no label")); }
CHANGE(old_map) { put(f, "issuedAt", json_integer(NOW - 91 * 86400 * USEC_PER_SEC)); }
CHANGE(kernel_problem) { put(f, "kernelProblem", json_string("no WireGuard")); }
CHANGE(future_map) { put(f, "issuedAt", json_integer(NOW + 3600 * USEC_PER_SEC)); }
CHANGE(expired_key) { put(f, "keyExpiry", json_integer(NOW - 3600 * USEC_PER_SEC)); }
CHANGE(clock_set_back) { json_object_set_new(peer(f, 1), "lastHandshake", json_integer(NOW + 7200 * USEC_PER_SEC)); }
CHANGE(no_sync) { f->clock_synced = false; }
CHANGE(no_link) { f->mesh_index = 0; }
CHANGE(no_port) { set_text(&f->udp, "0: 00000000:CA6D 00000000:0000 07\n"); }
CHANGE(one_silent) { quiet(f, 0); }
CHANGE(two_silent) { quiet(f, 0); quiet(f, 1); }
CHANGE(all_silent) { two_silent(f); quiet(f, 2); }
CHANGE(old_handshake) { json_object_set_new(peer(f, 0), "lastHandshake", json_integer(NOW - 181 * USEC_PER_SEC)); }
CHANGE(one_unheard) { quiet(f, 0); json_object_del(peer(f, 0), "endpoint"); }
CHANGE(one_offline) { quiet(f, 0); json_object_set_new(json_object_get(peer(f, 0), "node"), "online", json_false()); }
CHANGE(all_offline)
{
	for (size_t i = 0; i < 3; i++) {
		quiet(f, i);
		json_object_set_new(json_object_get(peer(f, i), "node"), "online", json_false());
	}
}
CHANGE(one_unknown) { quiet(f, 0); json_object_del(json_object_get(peer(f, 0), "node"), "online"); }
CHANGE(one_unasked) { quiet(f, 0); json_object_del(f->asked, "laptop"); }
CHANGE(no_peers) { json_decref(f->peers); f->peers = load("{\"peers\": []}"); }
CHANGE(wg_problem) { json_object_set_new(f->peers, "problem", json_string("No such device")); }
CHANGE(other_route) { strcpy(f->routes[1].device, "docker0"); }
CHANGE(other_routes) { other_route(f); strcpy(f->routes[0].device, "docker0"); }
CHANGE(no_route) { f->routes[0].device[0] = '\0'; }
CHANGE(small_mtu) { f->mtu = 1279; }
CHANGE(tailscale) { add_link(f, "tailscale0", "100.101.102.103"); }
CHANGE(other_vpn) { add_link(f, "wg9", "100.70.0.1"); }
CHANGE(other_link) { add_link(f, "eth0", "192.0.2.1"); }
CHANGE(strict) { f->rp_filter = 1; }
CHANGE(strict_marked) { f->rp_filter = 1; put(f, "fwmark", json_integer(7)); }
CHANGE(strict_valid) { strict_marked(f); f->src_valid_mark = 1; }
CHANGE(full_conntrack) { f->conntrack_count = 950; }
CHANGE(ssh_off) { put(f, "ssh", json_false()); set_text(&f->tcp, ""); }
CHANGE(ssh_nobody) { warn(f, "ssh-nobody", "SSH is on, but no SSH rule lets anybody in"); }
CHANGE(ssh_unreachable) { warn(f, "ssh-unreachable", "1 SSH rule names peers"); }
CHANGE(no_gateway) { f->gateway_installed = false; }
CHANGE(no_account) { f->gateway_account = false; }
CHANGE(no_pam) { f->pam_service = false; }
CHANGE(low_ceiling) { set_text(&f->ceiling, "#SSH=yes\nSSH=no\n"); }
CHANGE(no_ceiling) { set_text(&f->ceiling, NULL); }
CHANGE(shut_ceiling) { set_text(&f->ceiling, NULL); f->ceiling_error = -EACCES; }
CHANGE(no_listener) { set_text(&f->tcp, ""); }
CHANGE(only_connected) { set_text(&f->tcp6, "1: 0100007F:07E6 0100007F:9999 01\n"); }
CHANGE(no_host_keys) { f->host_keys = false; }
CHANGE(unseen_host_keys) { f->host_keys = false; f->host_keys_unseen = true; }
CHANGE(old_kernel) { set_text(&f->release, "5.10.0-30-amd64"); }
CHANGE(new_enough_kernel) { set_text(&f->release, "5.14.0"); }
CHANGE(no_sshd) { set_text(&f->sshd_config, NULL); }
CHANGE(sshd_mesh_only) { set_text(&f->sshd_config, "ListenAddress 100.64.0.1\n"); }
CHANGE(sshd_mesh_too) { set_text(&f->sshd_config, "ListenAddress 192.0.2.1\nlistenaddress 100.64.0.1:22\n"); }
CHANGE(sshd_other_port) { set_text(&f->sshd_config, "ListenAddress 100.64.0.1:2200\n"); }
CHANGE(sshd_match) { set_text(&f->sshd_config, "Match User bob Address 10.0.0.0/8,100.64.0.0/10\n"); }
CHANGE(sshd_allow) { set_text(&f->sshd_config, "AllowUsers alice@192.0.2.* bob@100.64.*\n"); }
CHANGE(sshd_allow_others) { set_text(&f->sshd_config, "AllowUsers alice@192.0.2.* bob@10.*\n"); }
CHANGE(sshd_partial) { f->sshd_config_partial = true; }
CHANGE(unresolved) { f->names[0].resolved = false; }
CHANGE(unresolved_nss) { f->names[0].resolved = false; set_text(&f->nsswitch, "hosts: files dns peergate\n"); }
CHANGE(slow_names) { f->names[0].resolved = false; f->names[0].timed_out = true; }
CHANGE(no_known_hosts) { ssh_line(f, "globalknownhostsfile /etc/ssh/ssh_known_hosts"); }
CHANGE(alias) { ssh_line(f, "hostkeyalias other"); }
CHANGE(other_port) { ssh_line(f, "port 2200"); }
CHANGE(proxy) { ssh_line(f, "proxycommand nc %h %p"); }
CHANGE(no_proxy) { ssh_line(f, "proxycommand none"); }
CHANGE(hush) { ssh_line(f, "loglevel ERROR"); }
CHANGE(any_key) { ssh_line(f, "stricthostkeychecking false"); }
CHANGE(other_user) { ssh_line(f, "user bob"); }
CHANGE(no_ssh) { free(f->names[0].ssh); f->names[0].ssh = NULL; }
/* clang-format on */

static const struct {
	void (*change)(struct doctor_facts *f);
	void (*check)(const struct doctor_facts *facts, struct doctor_report *rep);
	enum doctor_state state;    /* of the worst finding */
	const char *says, *advises; /* parts of it */
} cases[] = {
	{ no_change, doctor_check_agent, DOCTOR_GOOD, "runs, version 1.0", NULL },
	{ no_agent, doctor_check_agent, DOCTOR_BAD, "does not run", "systemctl start" },
	{ no_permission, doctor_check_agent, DOCTOR_UNKNOWN, "may not be opened", "as root" },
	{ hung_agent, doctor_check_agent, DOCTOR_BAD, "does not answer", "systemctl restart" },
	{ other_version, doctor_check_agent, DOCTOR_WARN, "is of version 1.0, agentctl of 1.1",
	  "systemctl restart peergate-agent" },
	{ no_map, doctor_check_agent, DOCTOR_BAD, "no map is in force", "/etc/peergate/netmap" },
	{ no_map_of_link, doctor_check_agent, DOCTOR_BAD, "no map is in force",
	  "the coordinator can be" },
	{ refused_map, doctor_check_agent, DOCTOR_BAD, "peers[3].name: no label", "generation 7" },
	{ old_map, doctor_check_agent, DOCTOR_WARN, "91 d ago", "/etc/peergate/netmap.json" },
	{ kernel_problem, doctor_check_agent, DOCTOR_BAD, "no WireGuard", "" },

	{ no_change, doctor_check_clock, DOCTOR_GOOD, "in step", NULL },
	{ future_map, doctor_check_clock, DOCTOR_BAD, "issued 1 h in the future", "timedatectl" },
	{ expired_key, doctor_check_clock, DOCTOR_BAD, "expired 1 h ago", "renew" },
	{ clock_set_back, doctor_check_clock, DOCTOR_BAD, "handshake is 2 h in the future",
	  "ip link delete mesh0" },
	{ no_sync, doctor_check_clock, DOCTOR_WARN, "nobody keeps it", "set-ntp" },

	{ no_change, doctor_check_wireguard, DOCTOR_GOOD, "UDP port 51820", NULL },
	{ no_link, doctor_check_wireguard, DOCTOR_BAD, "no link mesh0", "" },
	{ no_port, doctor_check_wireguard, DOCTOR_BAD, "nothing takes packets", "ip link set" },
	{ one_silent, doctor_check_wireguard, DOCTOR_WARN,
	  "1 of 3 peers does not answer: laptop at 192.0.2.2:51820", "UDP" },
	{ two_silent, doctor_check_wireguard, DOCTOR_WARN, "2 of 3 peers do not answer", "" },
	{ old_handshake, doctor_check_wireguard, DOCTOR_WARN, "1 of 3 peers does not answer", "" },
	{ all_silent, doctor_check_wireguard, DOCTOR_BAD,
	  "no peer answers, though asked: laptop at 192.0.2.2:51820, phone at",
	  "UDP is probably blocked between here and there" },
	{ one_unheard, doctor_check_wireguard, DOCTOR_UNKNOWN, "1 of 3 peers has no endpoint",
	  "UDP port 51820" },
	{ one_unknown, doctor_check_wireguard, DOCTOR_WARN,
	  "1 of 3 peers does not answer: laptop at 192.0.2.2:51820", "UDP" },
	{ one_unasked, doctor_check_wireguard, DOCTOR_UNKNOWN,
	  "1 of 3 peers is quiet and was not asked", NULL },
	{ one_offline, doctor_check_wireguard, DOCTOR_GOOD, "UDP port", NULL },
	{ all_offline, doctor_check_wireguard, DOCTOR_UNKNOWN, "none is on-line", NULL },
	{ no_peers, doctor_check_wireguard, DOCTOR_WARN, "no peers", NULL },
	{ wg_problem, doctor_check_wireguard, DOCTOR_BAD, "No such device", NULL },
	{ no_agent, doctor_check_wireguard, DOCTOR_GOOD, "UDP port 51820", NULL },

	{ no_change, doctor_check_network, DOCTOR_GOOD, "lead over mesh0", NULL },
	{ other_route, doctor_check_network, DOCTOR_BAD,
	  "the way to phone (100.64.0.3) leads over docker0 instead of mesh0",
	  "ip route get 100.64.0.3" },
	{ other_routes, doctor_check_network, DOCTOR_BAD,
	  "the way to laptop (100.64.0.2) and 1 other peer leads over docker0", "ip route get" },
	{ no_route, doctor_check_network, DOCTOR_BAD, "no way to laptop", "ip rule" },
	{ small_mtu, doctor_check_network, DOCTOR_BAD, "is 1279", "mtu 1420" },
	{ tailscale, doctor_check_network, DOCTOR_WARN, "tailscale0 has the address 100.101",
	  "Tailscale drops" },
	{ other_vpn, doctor_check_network, DOCTOR_WARN, "wg9 has the address", "another prefix" },
	{ other_link, doctor_check_network, DOCTOR_GOOD, "lead over mesh0", NULL },
	{ strict, doctor_check_network, DOCTOR_GOOD, "lead over mesh0", NULL },
	{ strict_marked, doctor_check_network, DOCTOR_WARN, "FwMark", "src_valid_mark=1" },
	{ strict_valid, doctor_check_network, DOCTOR_GOOD, "lead over mesh0", NULL },
	{ full_conntrack, doctor_check_network, DOCTOR_BAD, "950 of 1000", "=2000" },

	{ no_change, doctor_check_ssh, DOCTOR_GOOD, "the gateway listens", NULL },
	{ no_agent, doctor_check_ssh, DOCTOR_UNKNOWN, "without a map", NULL },
	{ ssh_off, doctor_check_ssh, DOCTOR_GOOD, "off in the map", NULL },
	{ ssh_nobody, doctor_check_ssh, DOCTOR_BAD, "no SSH rule", "ssh_rules" },
	{ ssh_unreachable, doctor_check_ssh, DOCTOR_WARN, "1 SSH rule", "tcp/22" },
	{ no_gateway, doctor_check_ssh, DOCTOR_BAD, "not installed", "peergate-sshgw" },
	{ no_account, doctor_check_ssh, DOCTOR_BAD, "_sshgw is missing", "systemd-sysusers" },
	{ no_pam, doctor_check_ssh, DOCTOR_BAD, "/etc/pam.d/peergate", "" },
	{ low_ceiling, doctor_check_ssh, DOCTOR_BAD, "ceiling", "SSH=yes" },
	{ no_ceiling, doctor_check_ssh, DOCTOR_BAD, "ceiling", "SSH=yes" },
	{ shut_ceiling, doctor_check_ssh, DOCTOR_UNKNOWN, "Permission denied", "as root" },
	{ no_listener, doctor_check_ssh, DOCTOR_BAD, "at 127.0.0.1 port 2022",
	  "peergate-sshgw.socket" },
	{ only_connected, doctor_check_ssh, DOCTOR_BAD, "at [::1] port 2022", "" },
	{ no_host_keys, doctor_check_ssh, DOCTOR_WARN, "no host keys", "ssh-keygen -A" },
	{ unseen_host_keys, doctor_check_ssh, DOCTOR_UNKNOWN, "only root", "as root" },
	{ old_kernel, doctor_check_ssh, DOCTOR_BAD, "5.10.0-30-amd64", "newer" },
	{ new_enough_kernel, doctor_check_ssh, DOCTOR_GOOD, "the gateway listens", NULL },

	{ no_change, doctor_check_sshd, DOCTOR_GOOD, "nothing of the mesh", NULL },
	{ no_agent, doctor_check_sshd, DOCTOR_UNKNOWN, "without the agent", NULL },
	{ no_sshd, doctor_check_sshd, DOCTOR_GOOD, "no sshd", NULL },
	{ sshd_mesh_only, doctor_check_sshd, DOCTOR_WARN, "100.64.0.1 port 22 and nowhere else",
	  "another address or port" },
	{ sshd_mesh_too, doctor_check_sshd, DOCTOR_WARN, "100.64.0.1:22 port 22, where peers",
	  "ListenAddress" },
	{ sshd_other_port, doctor_check_sshd, DOCTOR_GOOD, "nothing of the mesh", NULL },
	{ sshd_match, doctor_check_sshd, DOCTOR_WARN, "Match User bob Address", "SSH rules" },
	{ sshd_allow, doctor_check_sshd, DOCTOR_WARN, "AllowUsers", "SSH rules" },
	{ sshd_allow_others, doctor_check_sshd, DOCTOR_GOOD, "nothing of the mesh", NULL },
	{ sshd_partial, doctor_check_sshd, DOCTOR_UNKNOWN, "not all", "as root" },

	{ no_change, doctor_check_client, DOCTOR_GOOD, "names of peers", NULL },
	{ no_ssh, doctor_check_client, DOCTOR_UNKNOWN, "could not be asked", NULL },
	{ unresolved, doctor_check_client, DOCTOR_WARN, "laptop is not known",
	  "peergate behind files and dns" },
	{ unresolved_nss, doctor_check_client, DOCTOR_WARN, "laptop is not known", "/etc/hosts" },
	{ slow_names, doctor_check_client, DOCTOR_WARN, "took too long", "" },
	{ no_known_hosts, doctor_check_client, DOCTOR_WARN, "asks whether the host is known",
	  "Include /etc/ssh/ssh_config.d" },
	{ alias, doctor_check_client, DOCTOR_WARN, "hostkeyalias other", "HostKeyAlias" },
	{ other_port, doctor_check_client, DOCTOR_WARN, "port 2200", "Port 22" },
	{ proxy, doctor_check_client, DOCTOR_WARN, "proxycommand nc", "ProxyCommand none" },
	{ no_proxy, doctor_check_client, DOCTOR_GOOD, "names of peers", NULL },
	{ hush, doctor_check_client, DOCTOR_WARN, "told to be quiet", "LogLevel INFO" },
	{ any_key, doctor_check_client, DOCTOR_WARN, "any host key", "StrictHostKeyChecking" },
	{ other_user, doctor_check_client, DOCTOR_WARN, "as bob", "User" },
};

/* The worst one; the first of several. */
static const struct doctor_finding *worst(const struct doctor_report *rep)
{
	for (size_t i = 0; i < rep->n; i++)
		if (rep->findings[i].state == doctor_worst(rep))
			return &rep->findings[i];
	return NULL;
}

static void test_checks(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct doctor_report rep = { .area = "x" };
		const struct doctor_finding *found;
		struct doctor_facts facts;

		make_healthy(&facts);
		cases[i].change(&facts);
		cases[i].check(&facts, &rep);
		found = worst(&rep);
		assert_non_null(found);
		if (found->state != cases[i].state || !strstr(found->what, cases[i].says) ||
		    (cases[i].advises &&
		     (!found->remedy || !strstr(found->remedy, cases[i].advises))))
			fail_msg("case %zu (%s): %s: %s -> %s", i, cases[i].says,
				 doctor_state_to_string(found->state), found->what,
				 found->remedy ? found->remedy : "(nothing)");
		doctor_report_done(&rep);
		doctor_facts_done(&facts);
	}
}

static void test_good_has_no_remedy(void **state)
{
	struct doctor_report rep = { 0 };
	struct doctor_facts facts;

	make_healthy(&facts);
	doctor_check(&facts, &rep);
	for (size_t i = 0; i < rep.n; i++)
		if (rep.findings[i].state == DOCTOR_GOOD)
			assert_null(rep.findings[i].remedy);
	/* Rules are root's to read. */
	assert_int_equal(doctor_worst(&rep), DOCTOR_UNKNOWN);
	doctor_report_done(&rep);
	doctor_facts_done(&facts);
}

/* Without any facts every check still says something, and nothing of it is good by chance. */
static void test_nothing_known(void **state)
{
	struct doctor_facts facts = {
		.version = "1.0", .agent_error = -ENOENT, .rp_filter = -1, .fw_error = -EPERM
	};
	struct doctor_report rep = { 0 };

	doctor_check(&facts, &rep);
	assert_false(rep.failed);
	assert_int_equal(doctor_worst(&rep), DOCTOR_BAD);
	for (size_t i = 0; i < rep.n; i++)
		if (rep.findings[i].state == DOCTOR_GOOD)
			assert_string_equal(rep.findings[i].what, "no sshd is configured here");
	doctor_report_done(&rep);
}

/* ---- who is asked whether they answer ---- */

/* An agent that is asked for its peers once, and has none any more after that. */
static void serve_peers(int fd, const char *peers)
{
	for (;;) {
		char request[4096] = "", c = 'x';
		int conn = accept(fd, NULL, NULL);
		const char *reply = "{\"generation\": 7}";

		for (size_t n = 0; c != '\0' && n + 1 < sizeof(request) && read(conn, &c, 1) == 1;)
			request[n++] = c;
		if (strstr(request, "GetPeers")) {
			reply = peers;
			peers = "{\"peers\": []}";
		}
		/* At first it is only seen whether anybody is there. */
		if (c == '\0')
			dprintf(conn, "{\"parameters\": %s}%c", reply, '\0');
		close(conn);
	}
}

/* Where an agent listens that has these peers. */
static char *start_agent(const char *peers, pid_t *ret_pid)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/test-doctor-%d.sock", getpid());
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 8), 0);
	*ret_pid = fork();
	assert_true(*ret_pid >= 0);
	if (*ret_pid == 0)
		serve_peers(fd, peers);
	close(fd);
	return strdup(addr.sun_path);
}

#define PEER(name, more, endpoint)                                                     \
	"{\"node\": {\"nodeName\": \"" name "\", \"addresses\": [\"127.0.0.1\"]," more \
	"\"keyExpired\": false}" endpoint "}"
#define SOMEWHERE ", \"endpoint\": \"192.0.2.2:51820\""

/* By a map that does not say who is on-line as well: those that it says are not are left out. */
static void test_who_is_asked(void **state)
{
	_cleanup_free_ char *peers = NULL, *socket_path = NULL, *asked = NULL;
	struct doctor_facts facts = { 0 };
	struct ctl ctl = { 0 };
	pid_t pid;

	/* clang-format off */
	peers = text_printf("{\"peers\": ["
			    PEER("unknown", "", SOMEWHERE) ","
			    PEER("online", "\"online\": true,", SOMEWHERE) ","
			    PEER("offline", "\"online\": false,", SOMEWHERE) ","
			    PEER("unheard", "", "") ","
			    PEER("fresh", "", SOMEWHERE ", \"lastHandshake\": %" PRIu64) "]}",
			    clock_usec(CLOCK_REALTIME));
	/* clang-format on */
	socket_path = start_agent(peers, &pid);
	ctl.socket = socket_path;
	doctor_gather_agent(&ctl, &facts);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(socket_path);
	assert_int_equal(facts.agent_error, 0);
	asked = json_dumps(facts.asked, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(asked, "{\"online\":true,\"unknown\":true}");
	doctor_facts_done(&facts);
}

/* ---- rules that today's iptables and nft do not make, but others did ---- */

static void test_xt_ports(void **state)
{
	/* spts, dpts, option, flags mask and value, inverted: struct xt_tcp */
	const uint16_t ports[6] = { 0, UINT16_MAX, 22, 22, 0, XT_TCP_INV_DSTPT << 8 };
	const uint16_t both[6] = { 1024, UINT16_MAX, 22, 22 };
	struct fw_expr expr = { .kind = FW_UNKNOWN };

	fw_xt_match("tcp", 0, (const uint8_t *)both, sizeof(both), &expr);
	assert_int_equal(expr.kind, FW_UNKNOWN);
	fw_xt_match("tcp", 0, (const uint8_t *)ports, sizeof(ports) - 1, &expr);
	assert_int_equal(expr.kind, FW_UNKNOWN);
	fw_xt_match("tcp", 0, (const uint8_t *)ports, sizeof(ports), &expr);
	assert_int_equal(expr.kind, FW_XT_PORTS);
	assert_int_equal(expr.key, 1);
	assert_int_equal(expr.len, 1);
	assert_true(expr.reg);
}

/* One range ends where the next begins, and both are told in whatever order. */
static void test_ranges_side_by_side(void **state)
{
	struct fw_element elements[] = {
		{ .key = { 0, 22 } },
		{ .key = { 0, 22 }, .interval_end = true },
		{ .key = { 0, 1 } },
		{ .key = { 0, 31 }, .interval_end = true },
	};
	struct fw_set set = {
		.family = NFPROTO_INET,
		.table = (char *)"t",
		.name = (char *)"s",
		.flags = NFT_SET_INTERVAL,
		.key_len = 2,
		.complete = true,
		.elements = elements,
		.n_elements = ARRAY_SIZE(elements),
	};
	struct fw_expr exprs[] = {
		{ .kind = FW_PAYLOAD,
		  .key = NFT_PAYLOAD_TRANSPORT_HEADER,
		  .offset = 2,
		  .len = 2,
		  .dreg = NFT_REG_1 },
		{ .kind = FW_LOOKUP, .reg = NFT_REG_1, .dreg = NFT_REG_1, .name = (char *)"s" },
		{ .kind = FW_VERDICT, .key = NF_DROP },
	};
	struct fw_rule rule = { .exprs = exprs, .n_exprs = ARRAY_SIZE(exprs) };
	struct fw_chain chain = {
		.family = NFPROTO_INET,
		.table = (char *)"t",
		.name = (char *)"c",
		.base = true,
		.hook = NF_INET_LOCAL_IN,
		.rules = &rule,
		.n_rules = 1,
	};
	const struct fw fw = { .chains = &chain, .n_chains = 1, .sets = &set, .n_sets = 1 };
	struct fw_packet packet = { .hook = NF_INET_LOCAL_IN,
				    .family = AF_INET,
				    .proto = IPPROTO_TCP };

	for (uint16_t port = 1; port < 80; port++) {
		struct fw_answer answer;

		/* Once in either order. */
		if (port == 40) {
			elements[0].interval_end = true;
			elements[1].interval_end = false;
		}
		packet.dport = port % 40 + 1;
		assert_true(fw_ask(&fw, &chain, &packet, &answer));
		assert_true(answer.certain);
		assert_int_equal(answer.fate, packet.dport < 31 ? FW_DROPPED : FW_ACCEPTED);
	}
}

/* A rule that jumps to a chain of many rules that jump again takes for ever: not here. */
static void test_endless_jumps(void **state)
{
	enum { DEPTH = 15, WIDTH = 60 };
	struct fw_chain chains[DEPTH] = { 0 };
	struct fw_expr jumps[DEPTH][2];
	struct fw_rule rules[DEPTH][WIDTH];
	const struct fw fw = { .chains = chains, .n_chains = DEPTH };
	const struct fw_packet packet = { .hook = NF_INET_LOCAL_IN, .family = AF_INET };
	char names[DEPTH][8];
	struct fw_answer answer;

	for (int i = 0; i < DEPTH; i++) {
		snprintf(names[i], sizeof(names[i]), "c%d", i);
		jumps[i][0] = (struct fw_expr){ .kind = FW_UNKNOWN };
		jumps[i][1] = (struct fw_expr){ .kind = FW_VERDICT,
						.key = (uint32_t)NFT_JUMP,
						.name = names[(i + 1) % DEPTH] };
		for (int k = 0; k < WIDTH; k++)
			rules[i][k] = (struct fw_rule){ .exprs = jumps[i], .n_exprs = 2 };
		chains[i] = (struct fw_chain){
			.family = NFPROTO_INET,
			.table = (char *)"t",
			.name = names[i],
			.base = i == 0,
			.hook = NF_INET_LOCAL_IN,
			.rules = rules[i],
			.n_rules = i + 1 < DEPTH ? WIDTH : 0,
		};
	}
	assert_true(fw_ask(&fw, &chains[0], &packet, &answer));
	assert_false(answer.certain);
}

static void render(const struct doctor_report *rep, bool colour, const char *expected)
{
	struct cli_out out = { .colour = colour };
	char *text = NULL;
	size_t len;

	out.file = open_memstream(&text, &len);
	assert_int_equal(doctor_render(rep, &out), 0);
	fclose(out.file);
	assert_string_equal(text, expected);
	free(text);
}

static void test_render(void **state)
{
	struct doctor_report rep = { .area = "ssh" };
	json_auto_t *json = NULL;
	_cleanup_free_ char *text = NULL;

	doctor_say(&rep, DOCTOR_GOOD, "fine");
	rep.area = "clock";
	doctor_say(&rep, DOCTOR_BAD, "wrong\033[2J by %d s\n", 9);
	doctor_advise(&rep, "set it");
	render(&rep, false,
	       "STATE  CHECK  WHAT\ngood   ssh    fine\nbad    clock  wrong?[2J by 9 s?\n"
	       "              -> set it\n");
	render(&rep, true,
	       "\033[1mSTATE\033[0m  \033[1mCHECK\033[0m  \033[1mWHAT\033[0m\n"
	       "\033[32mgood\033[0m   ssh    fine\n\033[31mbad\033[0m    clock  wrong?[2J by 9 s?\n"
	       "              -> set it\n");
	json = doctor_json(&rep);
	text = json_dumps(json, JSON_COMPACT);
	assert_string_equal(text,
			    "{\"state\":\"bad\",\"checks\":[{\"check\":\"ssh\",\"state\":\"good\","
			    "\"what\":\"fine\"},{\"check\":\"clock\",\"state\":\"bad\","
			    "\"what\":\"wrong?[2J by 9 s?\",\"remedy\":\"set it\"}]}");
	doctor_report_done(&rep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checks),	      cmocka_unit_test(test_good_has_no_remedy),
		cmocka_unit_test(test_nothing_known), cmocka_unit_test(test_who_is_asked),
		cmocka_unit_test(test_xt_ports),      cmocka_unit_test(test_ranges_side_by_side),
		cmocka_unit_test(test_endless_jumps), cmocka_unit_test(test_render),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
