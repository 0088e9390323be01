#include "agent/ctl/metrics/metrics.h"

#include <inttypes.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/cli/value.h"
#include "common/clock.h"
#include "common/openmetrics.h"

/* WireGuard makes a new handshake at least this often while there is traffic. */
#define ACTIVE_USEC (180 * USEC_PER_SEC)

/* A family of one sample without labels. */
static void print_gauge(FILE *f, const char *name, const char *help, uint64_t value)
{
	const struct om_family family = { name, "gauge", NULL, help };

	om_begin(f, &family);
	om_number(f, &family, "", NULL, NULL, value);
}

static void print_time(FILE *f, const char *name, const char *help, const json_t *object,
		       const char *key)
{
	const struct om_family family = { name, "gauge", "seconds", help };

	if (!json_object_get(object, key))
		return;
	om_begin(f, &family);
	om_seconds(f, &family, "", NULL, NULL, value_number(object, key));
}

static void print_counter(FILE *f, const char *name, const char *unit, const char *help,
			  uint64_t value)
{
	const struct om_family family = { name, "counter", unit, help };

	om_begin(f, &family);
	om_number(f, &family, "_total", NULL, NULL, value);
}

/* One sample for each reason. key: of the number in each element. */
static void print_reasons(FILE *f, const char *name, const char *unit, const char *help,
			  const json_t *array, const char *key)
{
	const struct om_family family = { name, "counter", unit, help };

	om_begin(f, &family);
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *one = json_array_get(array, i);
		const struct om_label reason = { "reason", value_text(one, "reason") };

		om_number(f, &family, "_total", &reason, NULL, value_number(one, key));
	}
}

/* ---- the agent, its map and what it does ---- */

static void print_agent(const struct metrics *m, FILE *f)
{
	const struct om_family build = { "peergate_agent_build", "gauge", NULL,
					 "Always 1; the version is a label." };
	const struct om_label version = { "version", value_text(m->status, "version") };

	om_begin(f, &build);
	om_number(f, &build, "", &version, NULL, 1);
	print_time(f, "peergate_agent_start_time_seconds", "When the agent started.", m->metrics,
		   "startedAt");
	print_counter(f, "peergate_foreign_changes", NULL,
		      "Changes by others to what the agent keeps in the kernel; put right.",
		      value_number(m->metrics, "foreignChanges"));
}

static void print_map(const struct metrics *m, FILE *f)
{
	bool in_force = json_object_get(m->status, "generation");

	print_gauge(f, "peergate_map_in_force", "Whether there is a map.", in_force);
	print_gauge(f, "peergate_map_refused", "Whether the newest map was refused.",
		    json_object_get(m->status, "mapProblem") != NULL);
	print_gauge(f, "peergate_kernel_in_step", "Whether the kernel agrees with the map.",
		    !json_object_get(m->status, "kernelProblem"));
	print_counter(f, "peergate_maps_accepted", NULL, "Maps that came into force.",
		      value_number(m->metrics, "mapsAccepted"));
	print_counter(f, "peergate_maps_refused", NULL, "Maps that were refused.",
		      value_number(m->metrics, "mapsRefused"));
	if (!in_force)
		return;
	print_gauge(f, "peergate_map_generation", "Generation of the map in force.",
		    value_number(m->status, "generation"));
	print_time(f, "peergate_map_issued_time_seconds", "When the map in force was issued.",
		   m->status, "issuedAt");
	print_time(f, "peergate_map_accepted_time_seconds",
		   "When the map in force came into force here.", m->metrics, "mapAcceptedAt");
	print_time(f, "peergate_key_expiry_time_seconds", "When the key of this host expires.",
		   m->status, "keyExpiry");
}

static void print_applies(const struct metrics *m, FILE *f)
{
	const struct om_family family = {
		"peergate_apply_duration_seconds",
		"histogram",
		"seconds",
		"Time taken to bring the kernel in step with the map.",
	};
	const json_t *times = json_object_get(m->metrics, "applyTimes");
	uint64_t count = 0, all = value_number(m->metrics, "applies");
	struct om_label le = { "le", "+Inf" };

	om_begin(f, &family);
	for (size_t i = 0; i < json_array_size(times); i++) {
		const json_t *one = json_array_get(times, i);
		struct om_label up_to = { .name = "le" };
		char text[32];

		snprintf(text, sizeof(text), "%g", (double)value_number(one, "upToUsec") / 1e6);
		up_to.value = strcspn(text, ".e") < strlen(text) ? text : strcat(text, ".0");
		count += value_number(one, "count");
		om_number(f, &family, "_bucket", &up_to, NULL, count);
	}
	om_number(f, &family, "_bucket", &le, NULL, all);
	om_number(f, &family, "_count", NULL, NULL, all);
	om_seconds(f, &family, "_sum", NULL, NULL, value_number(m->metrics, "applyUsec"));
	print_counter(f, "peergate_apply_failures", NULL,
		      "Attempts to bring the kernel in step that failed.",
		      value_number(m->metrics, "applyFailures"));
}

static void print_ssh(const struct metrics *m, FILE *f)
{
	print_gauge(f, "peergate_ssh_sessions", "SSH connections that hold a lease.",
		    value_number(m->status, "sessions"));
	print_counter(f, "peergate_ssh_logins_accepted", NULL, "SSH logins that were accepted.",
		      value_number(m->metrics, "loginsAccepted"));
	print_reasons(f, "peergate_ssh_logins_rejected", NULL, "SSH logins that were refused.",
		      json_object_get(m->metrics, "loginsRejected"), "count");
	print_reasons(f, "peergate_ssh_revocations", NULL,
		      "SSH connections whose right was taken away.",
		      json_object_get(m->metrics, "revocations"), "count");
}

static void print_packets(const struct metrics *m, FILE *f)
{
	const json_t *accepted = json_object_get(m->metrics, "packetsAccepted");
	const json_t *dropped = json_object_get(m->metrics, "packetsDropped");

	/* Numbers that are not of this moment are left out: absence is seen, age is not. */
	if (json_object_get(m->metrics, "packetsProblem"))
		return;
	print_counter(f, "peergate_accepted_packets", "packets",
		      "Packets let in by rules of the map, and their answers.",
		      value_number(accepted, "packets"));
	print_counter(f, "peergate_accepted_bytes", "bytes",
		      "Bytes let in by rules of the map, and their answers.",
		      value_number(accepted, "bytes"));
	print_reasons(f, "peergate_dropped_packets", "packets", "Packets dropped by the table.",
		      dropped, "packets");
	print_reasons(f, "peergate_dropped_bytes", "bytes", "Bytes dropped by the table.", dropped,
		      "bytes");
}

/* ---- peers ---- */

enum peer_state {
	PEER_ACTIVE, /* a handshake in the last three minutes */
	PEER_IDLE,   /* one before */
	PEER_NEVER,  /* none */
	PEER_EXPIRED,
	N_PEER_STATES,
};

static const char *const peer_states[N_PEER_STATES] = { "active", "idle", "never", "expired" };

static enum peer_state state_of(const json_t *peer, uint64_t now_usec)
{
	uint64_t last = value_number(peer, "lastHandshake");

	if (json_is_true(json_object_get(json_object_get(peer, "node"), "keyExpired")))
		return PEER_EXPIRED;
	if (last == 0)
		return PEER_NEVER;
	return now_usec < last + ACTIVE_USEC ? PEER_ACTIVE : PEER_IDLE;
}

static void print_peer_states(const struct metrics *m, const json_t *peers, FILE *f)
{
	const struct om_family family = { "peergate_peers", "gauge", NULL,
					  "Peers, by how long ago they made a handshake." };
	uint64_t n[N_PEER_STATES] = { 0 };

	for (size_t i = 0; i < json_array_size(peers); i++)
		n[state_of(json_array_get(peers, i), m->now_usec)]++;
	om_begin(f, &family);
	for (int i = 0; i < N_PEER_STATES; i++) {
		const struct om_label state = { "state", peer_states[i] };

		om_number(f, &family, "", &state, NULL, n[i]);
	}
}

/* A series for each peer: what a series costs its reader is the reader's to judge. */
static void print_per_peer(const json_t *peers, FILE *f)
{
	static const struct {
		struct om_family family;
		const char *suffix, *key;
		bool is_time;
	} series[] = {
		{ { "peergate_peer_handshake_time_seconds", "gauge", "seconds",
		    "When the peer made its last handshake." },
		  "",
		  "lastHandshake",
		  true },
		{ { "peergate_peer_receive_bytes", "counter", "bytes", "Bytes from the peer." },
		  "_total",
		  "rxBytes",
		  false },
		{ { "peergate_peer_transmit_bytes", "counter", "bytes", "Bytes to the peer." },
		  "_total",
		  "txBytes",
		  false },
	};

	for (size_t s = 0; s < ARRAY_SIZE(series); s++) {
		om_begin(f, &series[s].family);
		for (size_t i = 0; i < json_array_size(peers); i++) {
			const json_t *peer = json_array_get(peers, i);
			const json_t *node = json_object_get(peer, "node");
			const struct om_label id = { "node", value_text(node, "nodeId") };
			const struct om_label name = { "name", value_text(node, "nodeName") };
			uint64_t value = value_number(peer, series[s].key);

			if (!json_object_get(peer, series[s].key))
				continue;
			if (series[s].is_time)
				om_seconds(f, &series[s].family, series[s].suffix, &id, &name,
					   value);
			else
				om_number(f, &series[s].family, series[s].suffix, &id, &name,
					  value);
		}
	}
}

static void print_peers(const struct metrics *m, FILE *f)
{
	const json_t *peers = json_object_get(m->peers, "peers");

	if (m->has_link) {
		print_counter(f, "peergate_link_receive_bytes", "bytes",
			      "Bytes that came in by the mesh's link.", m->link_rx_bytes);
		print_counter(f, "peergate_link_transmit_bytes", "bytes",
			      "Bytes that went out by the mesh's link.", m->link_tx_bytes);
	}
	/* Nothing is known of handshakes then. */
	if (!m->peers || json_object_get(m->peers, "problem"))
		return;
	print_peer_states(m, peers, f);
	if (m->per_peer)
		print_per_peer(peers, f);
}

void metrics_print(const struct metrics *m, FILE *f)
{
	print_gauge(f, "peergate_agent_up", "Whether the agent answers.", m->status != NULL);
	if (m->status) {
		print_agent(m, f);
		print_map(m, f);
		print_applies(m, f);
		print_ssh(m, f);
		print_packets(m, f);
		print_peers(m, f);
	}
	om_end(f);
}

bool metrics_parse_link(const char *text, const char *link, uint64_t *ret_rx, uint64_t *ret_tx)
{
	size_t len = strlen(link);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		line += strspn(line, " ");
		if (strncmp(line, link, len) == 0 && line[len] == ':')
			return sscanf(line + len + 1,
				      "%" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64, ret_rx,
				      ret_tx) == 2;
	}
	return false;
}
