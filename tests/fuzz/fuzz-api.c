/*
 * The agent's methods, asked by root and told anything: the input is what a caller sends, messages
 * that end with NUL. One lease is held meanwhile, and somebody watches.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/api/api.h"
#include "agent/stats.h"
#include "common/log.h"
#include "common/varlink.h"

#define NOW UINT64_C(1800000000000000) /* 2027-01-15T08:00:00Z */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char map_text[] =
	"{\"type\":\"full\",\"version\":1,\"for\":\"n1\",\"generation\":1,\"self\":{\"id\":\"n1\","
	"\"name\":\"server\",\"addresses\":[\"100.64.0.1\",\"fd7a::1\"],\"ssh\":true,\"routes\":["
	"\"10.7.0.0/16\"]},\"mesh\":{\"domain\":\"mesh.example\",\"prefixes\":[\"100.64.0.0/10\","
	"\"fd7a::/"
	"48\"]},\"peers\":[{\"id\":\"n2\",\"name\":\"laptop\",\"addresses\":[\"100.64.0.2\","
	"\"fd7a::2\"],\"node_key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI=\"},{\"id\":"
	"\"n6\","
	"\"name\":\"router\",\"addresses\":[\"100.64.0.6\"],\"routes\":[\"192.0.2.0/24\"],"
	"\"node_key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAY=\"},{\"id\":\"n9\",\"name\":"
	"\"old\",\"addresses\":[\"100.64.0.9\"],\"key_expiry\":\"2027-01-10T00:00:00Z\",\"node_"
	"key\":"
	"\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAk=\"}],\"packet_filter\":[{\"src\":[\"*\"],"
	"\"dst\":[{\"ip\":\"*\",\"ports\":[22,22]}],\"origin\":\"acls[0] line 14\"},{\"src\":["
	"\"192.0.2.0/24\"],\"dst\":[{\"ip\":\"100.64.0.1\",\"ports\":[8000,8099]}],\"proto\":[6,17,"
	"47]}],\"ssh_rules\":[{\"principals\":[\"100.64.0.6\"],\"users\":{\"*\":\"=\"},\"action\":"
	"\"check\"},{\"principals\":[\"*\"],\"users\":{\"root\":\"root\",\"*\":\"=\"},\"action\":"
	"\"accept\",\"origin\":\"ssh[0] line 31\"}]}";
static const char login_text[] =
	"{\"method\":\"io.peergate.Agent.AuthorizeSSH\",\"more\":true,\"parameters\":{\"address\":"
	"\"100.64.0.2\",\"port\":40000,\"localAddress\":\"100.64.0.1\",\"sshUser\":\"root\"}}";
static const char subscribe_text[] = "{\"method\":\"io.peergate.Agent.Subscribe\",\"more\":true}";

static struct {
	sd_event *event;
	struct netmap *map;
	struct lease_table *leases;
	struct api *api;
	struct stats stats;
	struct sockaddr_un addr;
	socklen_t addr_len;
} world;

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void view(void *userdata, struct api_view *ret_view)
{
	static const struct wg_key key;

	*ret_view = (struct api_view){
		.map = world.map,
		.map_serial = 1,
		.map_source = "/etc/peergate/netmap.json",
		.ifname = "mesh0",
		.public_key = &key,
		.leases = world.leases,
		.stats = &world.stats,
		.now_usec = NOW,
	};
}

static int peer_status(void *userdata, struct kernel_peer_status **ret_peers, size_t *ret_n)
{
	return -EOPNOTSUPP;
}

static bool last_handshake(void *userdata, const struct wg_key *peer,
			   struct kernel_handshake *ret_handshake)
{
	return false;
}

static int count_packets(void *userdata, struct nft_tally *tally)
{
	return -EOPNOTSUPP;
}

static int watch_drops(void *userdata, void (*fn)(const struct drop *drop, void *fn_userdata),
		       void *fn_userdata)
{
	return 0;
}

static const struct api_hooks hooks = { view, peer_status, last_handshake, count_packets,
					watch_drops };

static void drop_line(void *userdata, int level, const char *text)
{
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char *problem = NULL;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	log_set_sink(drop_line, NULL);
	check(sd_event_new(&world.event) >= 0);
	check(netmap_parse(map_text, strlen(map_text), "m", &problem, &world.map) == 0);
	check(lease_table_new(8, &world.leases) == 0);
	check(api_new(world.event, &hooks, NULL, &world.api) == 0);
	world.addr.sun_family = AF_UNIX;
	check(bind(fd, (struct sockaddr *)&world.addr, sizeof(sa_family_t)) == 0);
	world.addr_len = sizeof(world.addr);
	check(getsockname(fd, (struct sockaddr *)&world.addr, &world.addr_len) == 0);
	check(listen(fd, 16) == 0 && api_listen(world.api, fd) == 0);
	return 0;
}

static void pump(void)
{
	for (unsigned i = 0; sd_event_run(world.event, 0) > 0; i++)
		check(i < 100000);
}

static int call(const void *data, size_t size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	check(fd >= 0);
	check(connect(fd, (struct sockaddr *)&world.addr, world.addr_len) == 0);
	(void)send(fd, data, size, MSG_NOSIGNAL);
	pump();
	return fd;
}

/* What is answered must be varlink. Takes fd. */
static void hear(int fd)
{
	struct varlink_client *client = NULL;
	struct varlink_reply reply;
	int r;

	check(varlink_client_new(fd, &client) == 0);
	while ((r = varlink_client_receive(client, 0, &reply)) == 0)
		varlink_reply_done(&reply);
	check(r == -EAGAIN || r == -ECONNRESET);
	varlink_client_free(client);
	pump();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int watching, login;

	if (size > 65536)
		return 0;
	watching = call(subscribe_text, sizeof(subscribe_text));
	login = call(login_text, sizeof(login_text));
	hear(call(data, size));
	hear(login);
	hear(watching);
	check(lease_table_count(world.leases) == 0);
	return 0;
}
