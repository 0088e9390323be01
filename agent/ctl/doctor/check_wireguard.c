/* WireGuard: its port, and whether peers answer. */
#include <inttypes.h>
#include <string.h>

#include "agent/ctl/doctor/doctor.h"
#include "common/cli/format.h"
#include "common/cli/value.h"
#include "common/clock.h"
#include "common/text.h"

/* REJECT_AFTER_TIME: a session that is older carries nothing more. */
#define SESSION_USEC (180 * USEC_PER_SEC)
#define SHOWN_PEERS  4

static void check_port(const struct doctor_facts *facts, struct doctor_report *rep)
{
	uint16_t port = doctor_listen_port(facts);

	if (!facts->udp)
		doctor_say(rep, DOCTOR_UNKNOWN, "sockets cannot be listed: is /proc mounted?");
	else if (facts->mesh_index == 0) {
		doctor_say(rep, DOCTOR_BAD, "there is no link %s", doctor_link_name(facts));
		doctor_advise(rep, "the agent makes it: see its lines in this table");
	} else if (doctor_has_socket(facts->udp, port, 0) ||
		   doctor_has_socket(facts->udp6, port, 0))
		doctor_say(rep, DOCTOR_GOOD, "%s takes packets on UDP port %u",
			   doctor_link_name(facts), port);
	else {
		doctor_say(rep, DOCTOR_BAD, "nothing takes packets on UDP port %u", port);
		doctor_advise(rep, "ip link set %s up; systemctl restart peergate-agent",
			      doctor_link_name(facts));
	}
}

/* How peers stand with us. */
struct tally {
	size_t n_alive, n_answering, n_silent, n_unheard, n_unasked;
	json_t *silent, *unheard; /* names */
};

/*
 * A peer that the coordinator saw leave need not answer; one without endpoint comes to us; the
 * silence of one that was not asked says nothing.
 */
static void count_peer(const struct doctor_facts *facts, const json_t *peer, struct tally *tally)
{
	const json_t *node = json_object_get(peer, "node");
	uint64_t last = value_number(peer, "lastHandshake");
	const char *endpoint = json_string_value(json_object_get(peer, "endpoint"));
	char shown[256];

	if (json_is_true(json_object_get(node, "keyExpired")))
		return;
	tally->n_alive++;
	if (last > 0 && facts->now_usec < last + SESSION_USEC) {
		tally->n_answering++;
		return;
	}
	if (!endpoint) {
		tally->n_unheard++;
		(void)json_array_append_new(tally->unheard,
					    json_string(value_text(node, "nodeName")));
		return;
	}
	if (doctor_peer_is_offline(peer))
		return;
	if (!json_object_get(facts->asked, value_text(node, "nodeName"))) {
		tally->n_unasked++;
		return;
	}
	tally->n_silent++;
	snprintf(shown, sizeof(shown), "%.100s at %.100s", value_text(node, "nodeName"), endpoint);
	(void)json_array_append_new(tally->silent, json_string(shown));
}

static void say_silent(const struct doctor_facts *facts, const struct tally *tally,
		       struct doctor_report *rep)
{
	_cleanup_free_ char *names = value_list(tally->silent, SHOWN_PEERS);
	bool all = tally->n_answering == 0 && tally->n_silent + tally->n_unheard > 1;

	if (all || tally->n_alive == 1) {
		doctor_say(rep, DOCTOR_BAD, "no peer answers, though asked: %s",
			   names ? names : "");
		doctor_advise(rep,
			      "UDP is probably blocked between here and there, in one "
			      "direction at least: let port %u through on this host, on them, "
			      "and on routers between; or their keys for this host are old",
			      doctor_listen_port(facts));
		return;
	}
	doctor_say(rep, DOCTOR_WARN, "%zu of %zu peer%s %s not answer: %s", tally->n_silent,
		   tally->n_alive, text_plural(tally->n_alive),
		   tally->n_silent == 1 ? "does" : "do", names ? names : "");
	doctor_advise(rep, "if they run: is the endpoint right, does UDP get there, and do they "
			   "have this host's key (agentctl pubkey)?");
}

static const char *has_or_have(size_t n)
{
	return n == 1 ? "has" : "have";
}

static void say_tally(const struct doctor_facts *facts, const struct tally *tally,
		      struct doctor_report *rep)
{
	_cleanup_free_ char *names = value_list(tally->unheard, SHOWN_PEERS);

	if (tally->n_alive == 0) {
		doctor_say(rep, DOCTOR_WARN, "the map has no peers");
		return;
	}
	if (tally->n_answering > 0)
		doctor_say(rep, DOCTOR_GOOD,
			   "%zu of %zu peer%s %s made a handshake in the last "
			   "three minutes",
			   tally->n_answering, tally->n_alive, text_plural(tally->n_alive),
			   has_or_have(tally->n_answering));
	if (tally->n_silent > 0)
		say_silent(facts, tally, rep);
	if (tally->n_unheard > 0) {
		doctor_say(rep, DOCTOR_UNKNOWN,
			   "%zu of %zu peer%s %s no endpoint and must come "
			   "to us: %s",
			   tally->n_unheard, tally->n_alive, text_plural(tally->n_alive),
			   has_or_have(tally->n_unheard), names ? names : "");
		doctor_advise(rep,
			      "give them one in the map, or see that UDP port %u of this "
			      "host can be reached",
			      doctor_listen_port(facts));
	}
	if (tally->n_unasked > 0)
		doctor_say(rep, DOCTOR_UNKNOWN,
			   "%zu of %zu peer%s %s quiet and %s not asked: only some are at a time",
			   tally->n_unasked, tally->n_alive, text_plural(tally->n_alive),
			   tally->n_unasked == 1 ? "is" : "are",
			   tally->n_unasked == 1 ? "was" : "were");
	if (tally->n_answering + tally->n_silent + tally->n_unheard + tally->n_unasked == 0)
		doctor_say(rep, DOCTOR_UNKNOWN,
			   "no peer has answered lately, and by the map none "
			   "is on-line");
}

static void check_handshakes(const struct doctor_facts *facts, struct doctor_report *rep)
{
	const json_t *peers = json_object_get(facts->peers, "peers");
	const char *problem = json_string_value(json_object_get(facts->peers, "problem"));
	struct tally tally = { .silent = json_array(), .unheard = json_array() };

	if (!facts->peers)
		doctor_say(rep, DOCTOR_UNKNOWN, "the agent has not told of any peers");
	else if (problem)
		doctor_say(rep, DOCTOR_BAD, "the agent cannot read WireGuard's state: %s", problem);
	else {
		for (size_t i = 0; i < json_array_size(peers); i++)
			count_peer(facts, json_array_get(peers, i), &tally);
		say_tally(facts, &tally, rep);
	}
	json_decref(tally.silent);
	json_decref(tally.unheard);
}

void doctor_check_wireguard(const struct doctor_facts *facts, struct doctor_report *rep)
{
	check_port(facts, rep);
	check_handshakes(facts, rep);
}
