#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "agent/nft/tally.h"
#include "common/text.h"
#include "tests/unit/api-fixture.h"
#include "tests/unit/golden.h"

static void fake_view(void *userdata, struct api_view *ret_view)
{
	struct fixture *f = userdata;

	*ret_view = (struct api_view){
		.map = f->map,
		.map_serial = f->map_serial,
		.map_source = "/etc/peergate/netmap.json",
		.map_problem = f->map_problem,
		.kernel_problem = f->kernel_problem,
		.ifname = "mesh0",
		.listen_port = 51820,
		.gateway_port = 2022,
		.log_level = "info",
		.config = f->config,
		.public_key = &f->key,
		.link = f->link,
		.leases = f->leases,
		.stats = &f->stats,
		.now_usec = f->now_usec,
	};
}

static int fake_peer_status(void *userdata, struct kernel_peer_status **ret_peers, size_t *ret_n)
{
	struct fixture *f = userdata;
	struct kernel_peer_status *peers;

	f->n_peer_status++;
	if (f->peer_status_error)
		return f->peer_status_error;
	peers = calloc(2, sizeof(*peers));
	assert_non_null(peers);
	/* Not in the order of the keys. */
	peers[0].key = f->map->peers[4].key;
	peers[0].last_handshake = NOW - UINT64_C(3 * 86400 * 1000000);
	peers[1].key = f->map->peers[0].key;
	peers[1].last_handshake = NOW - UINT64_C(35000000);
	assert_int_equal(ip_endpoint_parse("192.0.2.7:41641", &peers[1].endpoint), 0);
	peers[1].rx_bytes = 1234567;
	peers[1].tx_bytes = 999;
	*ret_peers = peers;
	*ret_n = 2;
	return 0;
}

static bool fake_last_handshake(void *userdata, const struct wg_key *key,
				struct kernel_handshake *ret_handshake)
{
	struct fixture *f = userdata;

	*ret_handshake = f->handshake;
	return f->handshake.time_usec > 0 && wg_key_equal(key, &f->map->peers[0].key);
}

static int fake_count_packets(void *userdata, struct nft_tally *tally)
{
	struct fixture *f = userdata;

	tally->accepted = (struct nft_count){ 100, 20000 };
	tally->dropped[0].count = (struct nft_count){ 3 + f->n_dropped, 180 };
	strcpy(tally->dropped[0].reason, "no rule lets it in");
	tally->n_dropped = 1;
	return 0;
}

static int fake_watch_drops(void *userdata, void (*fn)(const struct drop *drop, void *fn_userdata),
			    void *fn_userdata)
{
	struct fixture *f = userdata;

	if (f->watch_drops_error)
		return f->watch_drops_error;
	f->drop_fn = fn;
	f->drop_userdata = fn_userdata;
	return 0;
}

static struct link *fake_link(void *userdata)
{
	struct fixture *f = userdata;

	return f->link;
}

static const struct api_hooks hooks = { fake_view,	    fake_peer_status, fake_last_handshake,
					fake_count_packets, fake_watch_drops, fake_link };

struct netmap *load_map(const char *from, const char *to)
{
	_cleanup_free_ char *text = golden_read("api/map.json"), *problem = NULL, *changed = NULL;
	struct netmap *map = NULL;

	if (from) {
		char *at = strstr(text, from);

		assert_non_null(at);
		*at = '\0';
		changed = text_printf("%s%s%s", text, to, at + strlen(from));
		assert_non_null(changed);
	}
	if (netmap_parse(changed ? changed : text, strlen(changed ? changed : text), "map.json",
			 &problem, &map) < 0)
		fail_msg("%s", problem);
	return map;
}

/* An abstract name that the kernel chooses: nothing to clean up. */
static void listen_somewhere(struct fixture *f)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	f->addr.sun_family = AF_UNIX;
	assert_int_equal(bind(fd, (struct sockaddr *)&f->addr, sizeof(sa_family_t)), 0);
	f->addr_len = sizeof(f->addr);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&f->addr, &f->addr_len), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(api_listen(f->api, fd), 0);
}

static void set_config(struct fixture *f)
{
	static const char text[] = "Proxy=http://alice:secret@proxy.example:3128/\n"
				   "Endpoint=192.0.2.7:51820 [2001:db8::7]:1\nMaxMapAge=90m\n";
	_cleanup_free_ char *problem = NULL;

	if (agent_config_parse(text, strlen(text), "agent.conf", &problem, &f->config) < 0)
		fail_msg("%s", problem);
}

int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->now_usec = NOW;
	f->key.bytes[31] = 1;
	f->map = load_map(NULL, NULL);
	set_config(f);
	assert_int_equal(sd_event_new(&f->event), 0);
	assert_int_equal(lease_table_new(4, &f->leases), 0);
	assert_int_equal(api_new(f->event, &hooks, f, &f->api), 0);
	listen_somewhere(f);
	*state = f;
	return 0;
}

int teardown(void **state)
{
	struct fixture *f = *state;

	api_free(f->api);
	assert_int_equal(lease_table_count(f->leases), 0);
	lease_table_free(f->leases);
	netmap_free(f->map);
	agent_config_free(f->config);
	sd_event_unref(f->event);
	free(f);
	return 0;
}

void pump(struct fixture *f)
{
	for (unsigned i = 0; sd_event_run(f->event, 0) > 0; i++)
		assert_true(i < 10000);
}

struct varlink_client *connect_to(struct fixture *f)
{
	struct varlink_client *client = NULL;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&f->addr, f->addr_len), 0);
	assert_int_equal(varlink_client_new(fd, &client), 0);
	return client;
}

struct varlink_client *connect_as(struct fixture *f, uid_t uid)
{
	struct varlink_client *client;
	bool root = getuid() == 0;

	/* The kernel takes note of who connects. */
	assert_int_equal(root ? seteuid(uid) : 0, 0);
	client = connect_to(f);
	assert_int_equal(root ? seteuid(0) : 0, 0);
	return client;
}

struct varlink_client *connect_as_nobody(struct fixture *f)
{
	return connect_as(f, 65534);
}

void send_call(struct fixture *f, struct varlink_client *client, const char *method,
	       const char *params, bool more)
{
	char name[128];

	snprintf(name, sizeof(name), "io.peergate.Agent.%s", method);
	assert_int_equal(varlink_client_send(client, name,
					     params ? json_loads(params, 0, NULL) : NULL, more,
					     1000000),
			 0);
	pump(f);
}

/* The next answer as text: "ERROR PARAMETERS", compact; "" when there is none. */
char *hear(struct varlink_client *client)
{
	_cleanup_(varlink_reply_done) struct varlink_reply reply = { 0 };
	_cleanup_free_ char *params = NULL;
	int r;

	r = varlink_client_receive(client, 0, &reply);
	if (r == -EAGAIN)
		return text_printf("%s", "");
	assert_int_equal(r, 0);
	params = json_dumps(reply.parameters, JSON_COMPACT);
	return text_printf("%s%s%s", reply.error ? reply.error : "", reply.error ? " " : "",
			   params);
}

void expect(struct varlink_client *client, const char *text)
{
	_cleanup_free_ char *heard = hear(client);

	assert_string_equal(heard, text);
}

char *ask(struct fixture *f, const char *method, const char *params)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = connect_to(f);

	send_call(f, client, method, params, false);
	return hear(client);
}
