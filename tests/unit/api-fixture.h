/* An api over a socket, with an agent of words only behind it. The map is data/api/map.json. */
#pragma once

#include <sys/un.h>

#include "agent/api/api.h"
#include "agent/config.h"
#include "agent/stats.h"
#include "common/varlink.h"

#define NOW UINT64_C(1800000000000000) /* 2027-01-15T08:00:00Z */

struct fixture {
	sd_event *event;
	struct api *api;
	struct lease_table *leases;
	struct netmap *map;
	uint64_t map_serial;
	struct agent_config *config;
	struct wg_key key;
	const char *map_problem, *kernel_problem;
	struct kernel_handshake handshake; /* of peers[0]; time 0: none is known */
	struct stats stats;
	void (*drop_fn)(const struct drop *drop, void *userdata);
	void *drop_userdata;
	int watch_drops_error;
	uint64_t n_dropped;
	uint64_t now_usec;
	struct link *link;
	int peer_status_error;
	unsigned n_peer_status;
	struct sockaddr_un addr;
	socklen_t addr_len;
};

int setup(void **state);
/* No lease may be left but those of calls that are open. */
int teardown(void **state);

/* The map, with from replaced by to (NULL: as it is). The caller frees. */
struct netmap *load_map(const char *from, const char *to);
/* Run the event loop until it has nothing to do. */
void pump(struct fixture *f);

struct varlink_client *connect_to(struct fixture *f);
/* As this user if we are root; as nobody (65534). */
struct varlink_client *connect_as(struct fixture *f, uid_t uid);
struct varlink_client *connect_as_nobody(struct fixture *f);
void send_call(struct fixture *f, struct varlink_client *client, const char *method,
	       const char *params, bool more);
/* The next answer as text: "ERROR PARAMETERS", compact; "" when there is none. */
char *hear(struct varlink_client *client);
void expect(struct varlink_client *client, const char *text);
/* Connect, call, hear. */
char *ask(struct fixture *f, const char *method, const char *params);
