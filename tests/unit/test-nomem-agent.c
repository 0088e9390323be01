/* The agent's modules without memory: they fail whole, or deny; what was in force stays. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "agent/api/api.h"
#include "agent/api/internal.h"
#include "agent/config.h"
#include "agent/filter/compile.h"
#include "agent/filter/diff.h"
#include "agent/kernel/plan.h"
#include "agent/names.h"
#include "agent/netmap/delta.h"
#include "agent/netmap/json.h"
#include "agent/nft/layout.h"
#include "agent/ssh/known_hosts.h"
#include "agent/ssh/lease.h"
#include "agent/ssh/policy.h"
#include "agent/stats.h"
#include "agent/wg/diff.h"
#include "agent/wg/wanted.h"
#include "common/log.h"
#include "common/text.h"
#include "tests/unit/delta-text.h"
#include "tests/unit/golden.h"
#include "tests/unit/nomem.h"

#define NOW UINT64_C(1800000000000000) /* 2027-01-15T08:00:00Z */

/* ---- maps ---- */

static char *map_text; /* of api/map.json */
static struct netmap *map;

/* Not a byte may be lost on the way: an address without its last digit is somebody else's. */
static void assert_same_map(const struct netmap *parsed)
{
	_cleanup_free_ char *known_hosts = NULL, *expected = NULL;

	assert_int_equal(known_hosts_format(parsed, &known_hosts), 0);
	assert_int_equal(known_hosts_format(map, &expected), 0);
	assert_string_equal(known_hosts, expected);
	assert_int_equal(parsed->n_filter, map->n_filter);
	assert_int_equal(parsed->n_ssh_rules, map->n_ssh_rules);
	for (size_t i = 0; i < map->n_ssh_rules; i++) {
		const struct ssh_rule *a = &parsed->ssh_rules[i], *b = &map->ssh_rules[i];

		assert_int_equal(a->n_principals, b->n_principals);
		assert_memory_equal(a->principals, b->principals,
				    a->n_principals * sizeof(*a->principals));
		assert_int_equal(a->n_users, b->n_users);
		for (size_t k = 0; k < a->n_users; k++)
			assert_string_equal(a->users[k].local_user, b->users[k].local_user);
	}
}

static int parse_map(void *userdata)
{
	const char *text = userdata;
	_cleanup_free_ char *error = NULL;
	struct netmap *parsed = NULL;
	int r;

	nomem_begin();
	r = netmap_parse(text, strlen(text), "m.json", &error, &parsed);
	nomem_end();
	if (r < 0)
		assert_null(parsed);
	else
		assert_same_map(parsed);
	netmap_free(parsed);
	return r;
}

/* What is wrong with a map is told, or that there was no memory for it: never another reason. */
static int refuse_map(void *userdata)
{
	const char *text = userdata;
	_cleanup_free_ char *error = NULL;
	struct netmap *parsed = NULL;
	int r;

	nomem_begin();
	r = netmap_parse(text, strlen(text), "m.json", &error, &parsed);
	nomem_end();
	assert_null(parsed);
	assert_true(r < 0);
	if (r == -EINVAL)
		assert_string_equal(error, "m.json: type: is missing; it has to be there");
	return r == -EINVAL ? 0 : r;
}

static const char delta[] =
	"{\"type\":\"delta\",\"generation\":4294967295,\"users\":{\"new@example.com\":{}},"
	"\"peers_removed\":[\"n1\"],\"peers_changed\":[{\"id\":\"new\",\"name\":\"new\","
	"\"addresses\":[\"100.64.0.99\"],\"node_key\":"
	"\"bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU=\"}],"
	"\"peers_patched\":[{\"id\":\"%s\",\"endpoints\":[\"192.0.2.99:99\"]}]}";

/* What is shared has one holder less afterwards, or one more: never the map in force without it. */
static int apply_delta(void *userdata)
{
	_cleanup_free_ char *error = NULL, *before = NULL, *after = NULL;
	struct netmap *changed = NULL;
	const char *text = userdata;
	size_t len;
	int r;

	assert_int_equal(netmap_to_json(map, &before, &len), 0);
	nomem_begin();
	r = delta_parse(map, text, strlen(text), "c", &error, &changed);
	nomem_end();
	assert_true((r == 0) == (changed != NULL));
	if (r == 0) {
		assert_int_equal(changed->n_users, map->n_users + 1);
		assert_int_equal(changed->n_filter, map->n_filter);
		assert_int_equal(netmap_peer_by_id(changed, map->peers[0].id)->n_endpoints, 1);
		assert_string_equal(netmap_peer_by_id(changed, "new")->name, "new");
	}
	netmap_free(changed);
	assert_int_equal(netmap_to_json(map, &after, &len), 0);
	assert_string_equal(before, after);
	return r;
}

static void test_maps(void **state)
{
	char broken[] = "{\"version\": 1}";
	_cleanup_free_ char *change = NULL;

	nomem_try("a map", parse_map, map_text);
	nomem_try("a bad map", refuse_map, broken);
	change = text_printf(delta, map->peers[0].id);
	nomem_try("a delta", apply_delta, change);
}

/* ---- what is made of a map ---- */

static int compile(void *userdata)
{
	_cleanup_(filter_table_freep) struct filter_table *table = NULL;
	struct filter_diff diff;
	_cleanup_free_ char *error = NULL;
	int r;

	nomem_begin();
	r = filter_compile(map, NOW, &table, &error);
	nomem_end();
	if (r < 0) {
		assert_null(table);
		return r;
	}
	assert_int_equal(filter_diff_build(userdata, table, &diff), 0);
	assert_true(filter_diff_empty(&diff));
	filter_diff_done(&diff);
	return 0;
}

static int compare_filters(void *userdata)
{
	struct filter_table **tables = userdata;
	struct filter_diff diff;
	int r;

	nomem_begin();
	r = filter_diff_build(tables[0], tables[1], &diff);
	nomem_end();
	if (r < 0)
		return r;
	assert_false(filter_diff_empty(&diff));
	filter_diff_done(&diff);
	return 0;
}

static void test_filter(void **state)
{
	struct filter_table *tables[2] = { NULL, NULL };
	char *error = NULL;

	assert_int_equal(filter_compile(NULL, NOW, &tables[0], &error), 0);
	assert_int_equal(filter_compile(map, NOW, &tables[1], &error), 0);
	nomem_try("a filter", compile, tables[1]);
	nomem_try("the difference of two filters", compare_filters, tables);
	filter_table_free(tables[0]);
	filter_table_free(tables[1]);
}

static int plan(void *userdata)
{
	const struct wg_device settings = { .listen_port = 51820 };
	struct kernel_plan plan;
	_cleanup_free_ char *error = NULL;
	int r;

	nomem_begin();
	r = kernel_plan_build(map, NOW, &settings, &plan, &error);
	nomem_end();
	if (r == 0)
		kernel_plan_done(&plan);
	return r;
}

static int compare_devices(void *userdata)
{
	const struct wg_device none = { 0 };
	struct wg_diff diff;
	int r;

	nomem_begin();
	r = wg_diff_build(&none, NULL, userdata, NOW, &diff);
	nomem_end();
	if (r < 0)
		return r;
	assert_int_equal(diff.n_added, map->n_peers);
	wg_diff_done(&diff);
	return 0;
}

static void test_plan(void **state)
{
	const struct wg_device settings = { .listen_port = 51820 };
	_cleanup_(wg_device_freep) struct wg_device *device = NULL;

	nomem_try("a plan", plan, NULL);
	assert_int_equal(wg_wanted(map, 0, &settings, &device), 0);
	nomem_try("the difference of two devices", compare_devices, device);
}

static int lay_out(void *userdata)
{
	const struct nft_layout_config config = { .ifname = "mesh0",
						  .gateway_port = 2022,
						  .divert_ssh = true };
	struct nft_layout layout = { 0 };
	char *text = NULL;
	int r;

	nomem_begin();
	r = nft_layout_build(&config, &layout);
	if (r == 0)
		text = nft_layout_describe(&layout);
	nft_layout_done(&layout);
	nomem_end();
	if (r == 0 && !text)
		r = -ENOMEM;
	/* An object that lost a part on the way would be another table. */
	if (r == 0)
		assert_string_equal(text, userdata);
	free(text);
	return r;
}

static void test_layout(void **state)
{
	const struct nft_layout_config config = { .ifname = "mesh0",
						  .gateway_port = 2022,
						  .divert_ssh = true };
	struct nft_layout layout = { 0 };
	_cleanup_free_ char *text = NULL;

	assert_int_equal(nft_layout_build(&config, &layout), 0);
	text = nft_layout_describe(&layout);
	nft_layout_done(&layout);
	nomem_try("the layout of the table", lay_out, text);
}

static int write_known_hosts(void *userdata)
{
	char *text = NULL;
	int r;

	nomem_begin();
	r = known_hosts_format(map, &text);
	nomem_end();
	if (r == 0)
		assert_string_equal(text, userdata);
	free(text);
	return r;
}

static int write_names(void *userdata)
{
	char *text = NULL;
	size_t len;
	int r;

	nomem_begin();
	r = names_of_map(map, &text, &len);
	nomem_end();
	if (r == 0)
		assert_string_equal(text, userdata);
	free(text);
	return r;
}

static void test_files(void **state)
{
	_cleanup_free_ char *known_hosts = NULL, *names = NULL;
	size_t len;

	assert_int_equal(known_hosts_format(map, &known_hosts), 0);
	nomem_try("known_hosts", write_known_hosts, known_hosts);
	assert_int_equal(names_of_map(map, &names, &len), 0);
	nomem_try("names", write_names, names);
}

static int read_config(void *userdata)
{
	const char *text = userdata;
	_cleanup_(agent_config_freep) struct agent_config *config = NULL;
	_cleanup_free_ char *error = NULL;
	int r;

	nomem_begin();
	r = agent_config_parse(text, strlen(text), "agent.conf", &error, &config);
	nomem_end();
	if (r == -EINVAL)
		assert_string_equal(
			error, "agent.conf:3: NoSuchKey: unknown key; expected one of Netmap, "
			       "Coordinator, CAFile, Proxy, InsecureHTTP, Endpoint, Interface, "
			       "ListenPort, FwMark, GatewayPort, MaxMapAge, LogLevel");
	return r == -EINVAL ? 0 : r;
}

static void test_config(void **state)
{
	char good[] = "Netmap=/etc/peergate/netmap.json\nInterface=mesh1\nListenPort=51821\n";
	char bad[] = "Netmap=/etc/peergate/netmap.json\nInterface=mesh1\nNoSuchKey=1\n";

	nomem_try("a configuration", read_config, good);
	nomem_try("a bad configuration", read_config, bad);
}

/* ---- SSH ---- */

static int explain(void *userdata)
{
	const struct ssh_decision *d = userdata;
	char *text;
	int r;

	nomem_begin();
	text = ssh_decision_explain(map, d, "nobody\x1b");
	nomem_end();
	r = text ? 0 : -ENOMEM;
	free(text);
	return r;
}

static void test_decision(void **state)
{
	struct ssh_decision d;
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse("100.64.0.2", &addr), 0);
	ssh_policy_decide(map, &addr, "nobody\x1b", NOW, &d);
	assert_int_equal(d.verdict, SSH_VERDICT_REJECT);
	nomem_try("the reason of a refusal", explain, &d);
}

static void on_revoked(struct lease *lease, enum lease_end end, const char *message, void *userdata)
{
	unsigned *n_revoked = userdata;

	(*n_revoked)++;
	lease_free(lease);
}

/* Whether the sentence for the person can be made or not: the right is gone. */
static int revoke_lease(void *userdata)
{
	static const struct lease_events events = { .revoked = on_revoked };
	_cleanup_(lease_table_freep) struct lease_table *table = NULL;
	struct lease_terms terms = { .node_id = "n9", .ssh_user = "root", .local_user = "root" };
	struct lease *lease = NULL;
	unsigned n_revoked = 0;
	int r;

	assert_int_equal(lease_table_new(4, &table), 0);
	assert_int_equal(ip_addr_parse("100.64.0.99", &terms.address), 0);
	nomem_begin();
	r = lease_grant(table, &terms, UINT64_MAX, &events, &n_revoked, &lease);
	if (r == 0)
		lease_table_recheck(table, map, NOW);
	nomem_end();
	assert_int_equal(n_revoked, r == 0 ? 1 : 0);
	assert_int_equal(lease_table_count(table), 0);
	return r;
}

static void test_revocation(void **state)
{
	nomem_try("a lease and its end", revoke_lease, NULL);
}

/* ---- the socket ---- */

struct server {
	sd_event *event;
	struct api *api;
	struct lease_table *leases;
	struct stats stats;
	int listen_fd;
	struct sockaddr_un addr;
	socklen_t addr_len;
};

static void view(void *userdata, struct api_view *ret_view)
{
	static const struct wg_key key = { .bytes = { 1 } };
	static char interface[] = "mesh0", proxy[] = "http://a:b@proxy.example:3128";
	static const struct agent_config config = { .interface = interface, .proxy = proxy };
	struct server *s = userdata;

	*ret_view = (struct api_view){
		.map = map,
		.map_serial = 1,
		.map_source = "/etc/peergate/netmap.json",
		.ifname = "mesh0",
		.log_level = "info",
		.config = &config,
		.public_key = &key,
		.leases = s->leases,
		.stats = &s->stats,
		.now_usec = NOW,
	};
}

static int no_peer_status(void *userdata, struct kernel_peer_status **ret_peers, size_t *ret_n)
{
	*ret_peers = NULL;
	*ret_n = 0;
	return 0;
}

static bool a_handshake(void *userdata, const struct wg_key *peer,
			struct kernel_handshake *ret_handshake)
{
	*ret_handshake = (struct kernel_handshake){ .time_usec = NOW, .read_usec = 1 };
	return true;
}

static const struct api_hooks hooks = { .view = view,
					.peer_status = no_peer_status,
					.last_handshake = a_handshake };

static void server_start(struct server *s)
{
	*s = (struct server){ .addr.sun_family = AF_UNIX, .addr_len = sizeof(s->addr) };
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->listen_fd >= 0);
	assert_int_equal(bind(s->listen_fd, (struct sockaddr *)&s->addr, sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(s->listen_fd, (struct sockaddr *)&s->addr, &s->addr_len), 0);
	assert_int_equal(listen(s->listen_fd, 4), 0);
	assert_int_equal(sd_event_new(&s->event), 0);
	assert_int_equal(lease_table_new(4, &s->leases), 0);
	assert_int_equal(api_new(s->event, &hooks, s, &s->api), 0);
	assert_int_equal(api_listen(s->api, s->listen_fd), 0);
}

static void server_stop(struct server *s)
{
	api_free(s->api);
	assert_int_equal(lease_table_count(s->leases), 0);
	lease_table_free(s->leases);
	sd_event_unref(s->event);
}

static void pump(struct server *s)
{
	for (unsigned i = 0; sd_event_run(s->event, 0) > 0; i++)
		assert_true(i < 10000);
}

static int call(const struct server *s, const char *text)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&s->addr, s->addr_len), 0);
	assert_int_equal(write(fd, text, strlen(text) + 1), strlen(text) + 1);
	return fd;
}

/* All that was answered; the caller's. */
static char *hear(int fd)
{
	char *text = calloc(1, 256 << 10);
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, (256 << 10) - 1 - len)) > 0)
		len += (size_t)n;
	return text;
}

struct question {
	const char *text;     /* the call */
	const char *expected; /* in its answer */
	bool heard;	      /* once, with all the memory there is */
	char *answer;	      /* then */
};

/* The whole answer, an error, or the end of the connection: nothing in between. */
static void check_answer(struct question *question, const char *text)
{
	if (*text == '\0' || (strstr(text, "\"error\"") && question->heard))
		return;
	if (!strstr(text, question->expected))
		fail_msg("%s: no %s", text, question->expected);
	question->heard = true;
	/* A new lease has an id of its own, and a refusal may go without its sentence. */
	if (strstr(text, "\"leaseId\"") || strstr(text, "\"reject\""))
		return;
	if (!question->answer)
		question->answer = strdup(text);
	assert_string_equal(text, question->answer);
}

static int ask(void *userdata)
{
	struct question *question = userdata;
	_cleanup_free_ char *answer = NULL;
	struct server s;
	int fd;

	server_start(&s);
	fd = call(&s, question->text);
	nomem_begin();
	pump(&s);
	nomem_end();
	answer = hear(fd);
	check_answer(question, answer);
	/* A lease that nobody was told of, or whose owner has gone, is none. */
	if (*answer == '\0' || strstr(answer, "\"error\""))
		assert_int_equal(lease_table_count(s.leases), 0);
	close(fd);
	pump(&s);
	assert_int_equal(lease_table_count(s.leases), 0);
	server_stop(&s);
	return 0;
}

#define CALL(method, more) "{\"method\":\"io.peergate.Agent." method "\"" more "}"
#define LOGIN(address, user)                                                        \
	CALL("AuthorizeSSH",                                                        \
	     ",\"more\":true,\"parameters\":{\"address\":\"" address                \
	     "\",\"port\":4711,\"localAddress\":\"100.64.0.1\",\"sshUser\":\"" user \
	     "\",\"connection\":\"c1\"}")

static struct question questions[] = {
	{ CALL("Status", ""), "\"generation\"" },
	{ CALL("GetPeers", ""), "\"laptop\"" },
	{ CALL("GetFilter", ""), "\"rules\"" },
	{ CALL("GetSSHPolicy", ""), "\"rules\"" },
	{ CALL("GetKnownHosts", ""), "\"lines\"" },
	{ CALL("WhoIs", ",\"parameters\":{\"address\":\"100.64.0.2\"}"), "\"laptop\"" },
	{ CALL("ListSessions", ""), "\"sessions\"" },
	{ CALL("ExplainSSH", ",\"parameters\":{\"address\":\"100.64.0.2\",\"sshUser\":\"root\"}"),
	  "\"verdict\"" },
	{ CALL("NoSuchMethod", ""), "MethodNotFound" },
	{ "{\"method\":", "" },
	/* No login without its limits: a "validUntil" that is missing means "for ever". */
	{ LOGIN("100.64.0.2", "root"), "\"validUntil\":1800007500000000," },
	{ LOGIN("100.64.0.2", "nosuchuser\\u001b"), "\"reject\"" },
	{ LOGIN("100.64.0.77", "root"), "\"reject\"" },
};

static void test_socket(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		nomem_try(questions[i].text, ask, &questions[i]);
		free(questions[i].answer);
	}
}

/* ---- */

static void drop_line(void *userdata, int level, const char *text)
{
}

static int setup(void **state)
{
	_cleanup_free_ char *problem = NULL;

	map_text = golden_read("api/map.json");
	if (netmap_parse(map_text, strlen(map_text), "map.json", &problem, &map) < 0)
		fail_msg("%s", problem);
	log_set_sink(drop_line, NULL);
	return 0;
}

static int teardown(void **state)
{
	netmap_free(map);
	free(map_text);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maps),	 cmocka_unit_test(test_filter),
		cmocka_unit_test(test_plan),	 cmocka_unit_test(test_layout),
		cmocka_unit_test(test_files),	 cmocka_unit_test(test_config),
		cmocka_unit_test(test_decision), cmocka_unit_test(test_revocation),
		cmocka_unit_test(test_socket),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
