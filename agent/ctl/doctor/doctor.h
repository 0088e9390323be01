/*
 * agentctl doctor: facts are gathered first (gather_*.c), then judged (check_*.c), so that judging
 * is pure and tested with facts that were written down.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/ctl/ctl.h"
#include "agent/ctl/doctor/fw.h"
#include "common/cleanup.h"
#include "common/cli/style.h"
#include "common/ip.h"

/* ---- what is found ---- */

enum doctor_state {
	DOCTOR_GOOD,
	DOCTOR_UNKNOWN, /* cannot be told, or not by this user */
	DOCTOR_WARN,	/* works, or may work, but not as one would expect */
	DOCTOR_BAD,
};
const char *doctor_state_to_string(enum doctor_state state);

struct doctor_finding {
	const char *area; /* of the check: "firewall" */
	enum doctor_state state;
	char *what;   /* one line */
	char *remedy; /* one line; NULL: nothing to do */
};

struct doctor_report {
	const char *area; /* of the check that runs */
	struct doctor_finding *findings;
	size_t n, n_alloc;
	bool failed; /* out of memory */
};

void doctor_say(struct doctor_report *rep, enum doctor_state state, const char *fmt, ...)
	_printf_(3, 4);
/* What to do about the last one said. */
void doctor_advise(struct doctor_report *rep, const char *fmt, ...) _printf_(2, 3);
void doctor_report_done(struct doctor_report *rep);

/* ---- facts ---- */

#define DOCTOR_MAX_ROUTES 1024 /* peers whose route is asked for */
#define DOCTOR_MAX_NAMES  3    /* peers whose name and ssh configuration are asked for */
#define DOCTOR_MAX_LINKS  64

/* Over which device the kernel would send to a peer. */
struct doctor_route {
	const char *peer; /* borrowed of facts.peers */
	struct ip_addr addr;
	char device[16]; /* "": there is no way */
};

/* Another device with addresses of the mesh's prefixes, or one that is known for its own rules. */
struct doctor_link {
	char name[16];
	struct ip_addr addr;
};

struct doctor_name {
	char *name;	/* "server.mesh.example" */
	char *ssh;	/* what "ssh -G" says; NULL: it could not be asked */
	bool resolved;	/* to an address of the mesh */
	bool timed_out; /* no answer in time */
};

struct doctor_facts {
	bool root;
	uint64_t now_usec;
	const char *version; /* ours */

	/* Of the agent; what it has not got, or did not answer, is NULL. */
	int agent_error; /* 0: it answers */
	json_t *status, *peers, *filter, *known_hosts;
	json_t *asked; /* {NAME: true}: sent something before peers was read, to see them answer */

	/* Firewalls. */
	int fw_error;
	struct fw *fw;
	char *legacy_tables; /* of iptables-legacy; NULL: none, or not readable */
	uint32_t mesh_index; /* 0: there is no such link */
	char default_device[16];
	uint32_t default_index;

	/* The network. */
	char *udp, *udp6; /* /proc/net/udp, udp6 */
	int mtu;	  /* of the mesh's link; 0: there is no such link */
	int rp_filter; /* of the mesh's link, the larger of its own and "all"; -1: not readable */
	int src_valid_mark;
	uint64_t conntrack_count, conntrack_max; /* max 0: no conntrack */
	struct doctor_route *routes;
	size_t n_routes;
	struct doctor_link links[DOCTOR_MAX_LINKS];
	size_t n_links;

	/* The clock. */
	bool clock_synced;

	/* SSH on this host. */
	char *release;		  /* of the kernel */
	char *tcp, *tcp6;	  /* /proc/net/tcp, tcp6 */
	int ceiling_error;	  /* of reading sshgw.conf */
	char *ceiling;		  /* its text; NULL: it does not exist */
	bool gateway_installed;	  /* its programs are here */
	bool gateway_account;	  /* of its network process */
	bool pam_service;	  /* /etc/pam.d/peergate */
	bool host_keys;		  /* some are here, as far as can be seen */
	bool host_keys_unseen;	  /* the place for them cannot be looked into */
	char *sshd_config;	  /* with what it includes; NULL: no sshd */
	bool sshd_config_partial; /* some of it cannot be read */

	/* SSH and names from this host. */
	char *nsswitch;
	struct doctor_name names[DOCTOR_MAX_NAMES];
	size_t n_names;
	char *user; /* who asks */
};

/* Everything. The agent is asked first. Return: 0, -ENOMEM. */
int doctor_gather(struct ctl *ctl, struct doctor_facts *facts);
void doctor_facts_done(struct doctor_facts *facts);
/* Parts of it. */
void doctor_gather_agent(struct ctl *ctl, struct doctor_facts *facts);
void doctor_gather_network(struct doctor_facts *facts);
void doctor_gather_ssh(struct doctor_facts *facts);
void doctor_gather_names(struct doctor_facts *facts);

/* ---- checks: each says at least one thing ---- */

void doctor_check_agent(const struct doctor_facts *facts, struct doctor_report *rep);
void doctor_check_clock(const struct doctor_facts *facts, struct doctor_report *rep);
void doctor_check_firewall(const struct doctor_facts *facts, struct doctor_report *rep);
void doctor_check_network(const struct doctor_facts *facts, struct doctor_report *rep);
void doctor_check_wireguard(const struct doctor_facts *facts, struct doctor_report *rep);
void doctor_check_ssh(const struct doctor_facts *facts, struct doctor_report *rep);
void doctor_check_sshd(const struct doctor_facts *facts, struct doctor_report *rep);
void doctor_check_client(const struct doctor_facts *facts, struct doctor_report *rep);

/* All of them. */
void doctor_check(const struct doctor_facts *facts, struct doctor_report *rep);

/* ---- shared ---- */

/* Of GetPeers: the map says that it is not on-line. It may say nothing of that. */
bool doctor_peer_is_offline(const json_t *peer);

/* The mesh's link; "mesh0" while the agent cannot be asked. */
const char *doctor_link_name(const struct doctor_facts *facts);
uint16_t doctor_listen_port(const struct doctor_facts *facts);
uint16_t doctor_gateway_port(const struct doctor_facts *facts);
bool doctor_ssh_is_on(const struct doctor_facts *facts);
/* Addresses that sshd, firewalls and other devices must leave to the mesh. */
bool doctor_in_mesh(const struct doctor_facts *facts, const struct ip_addr *addr);

/* A socket of /proc/net/{tcp,udp}[6] on this port. state: as there (10: listens); 0: any. */
bool doctor_has_socket(const char *table, uint16_t port, unsigned state);

/* Lines "key value" or "key=value" of a configuration; blank ones and comments are left out. */
struct doctor_line {
	char key[64], value[512];
};
bool doctor_next_line(const char **text, struct doctor_line *ret_line);
/* The first value of key (upper and lower case are the same) into *ret_line; false: none. */
bool doctor_find_line(const char *text, const char *key, struct doctor_line *ret_line);

/* ---- the verb ---- */

int doctor_render(const struct doctor_report *rep, const struct cli_out *out);
/* NULL: no memory. */
json_t *doctor_json(const struct doctor_report *rep);
enum doctor_state doctor_worst(const struct doctor_report *rep);
