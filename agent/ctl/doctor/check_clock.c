/*
 * The clock: keys, rules and maps have dates, and WireGuard's handshakes carry the time: a peer
 * takes none that is older than the last (whitepaper, 5.4.2: TAI64N against replay).
 */
#include "agent/ctl/doctor/doctor.h"
#include "common/cli/format.h"
#include "common/cli/value.h"
#include "common/clock.h"

#define TOLERANCE_USEC (60 * USEC_PER_SEC)

static bool check_set_back(const struct doctor_facts *facts, struct doctor_report *rep)
{
	const json_t *peers = json_object_get(facts->peers, "peers");
	uint64_t latest = 0;
	char span[CLI_FORMAT_LEN];

	for (size_t i = 0; i < json_array_size(peers); i++) {
		uint64_t one = value_number(json_array_get(peers, i), "lastHandshake");

		latest = one > latest ? one : latest;
	}
	if (latest < facts->now_usec + TOLERANCE_USEC)
		return false;
	doctor_say(rep, DOCTOR_BAD,
		   "the clock was set back: the last handshake is %s in the future, and peers "
		   "refuse new ones until then",
		   cli_format_span(latest - facts->now_usec, span));
	doctor_advise(rep,
		      "set the clock right; if it is right now, peers have to forget us: "
		      "ip link delete %s on them, which their agents make anew",
		      doctor_link_name(facts));
	return true;
}

static bool check_map_time(const struct doctor_facts *facts, struct doctor_report *rep)
{
	uint64_t issued = value_number(facts->status, "issuedAt");
	char span[CLI_FORMAT_LEN];

	if (issued < facts->now_usec + TOLERANCE_USEC)
		return false;
	doctor_say(rep, DOCTOR_BAD,
		   "the map was issued %s in the future: this clock is slow, or "
		   "that of the map's author fast",
		   cli_format_span(issued - facts->now_usec, span));
	doctor_advise(rep, "timedatectl shows this clock; timedatectl set-ntp yes keeps it right");
	return true;
}

static bool check_key(const struct doctor_facts *facts, struct doctor_report *rep)
{
	uint64_t expiry = value_number(facts->status, "keyExpiry");
	char when[CLI_FORMAT_LEN];

	if (expiry == 0 || expiry > facts->now_usec)
		return false;
	doctor_say(rep, DOCTOR_BAD, "by this clock the key of this host expired %s",
		   cli_format_relative(expiry, facts->now_usec, when));
	doctor_advise(rep, "if the clock is right, ask who makes the maps to renew the key");
	return true;
}

void doctor_check_clock(const struct doctor_facts *facts, struct doctor_report *rep)
{
	bool wrong = check_set_back(facts, rep);

	wrong |= check_map_time(facts, rep);
	wrong |= check_key(facts, rep);
	if (wrong)
		return;
	if (facts->clock_synced) {
		doctor_say(rep, DOCTOR_GOOD, "is kept in step with the world's");
		return;
	}
	doctor_say(rep, DOCTOR_WARN,
		   "nobody keeps it in step with the world's: once it is wrong, "
		   "keys expire early or late, and handshakes fail");
	doctor_advise(rep, "timedatectl set-ntp yes, or install chrony");
}
