/* The agent: whether it runs, agrees with us, and with the kernel. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "agent/ctl/doctor/doctor.h"
#include "common/cli/format.h"
#include "common/cli/value.h"
#include "common/clock.h"

/* A map file is changed by people, now and then: only what is very old is worth a word. */
#define OLD_MAP_USEC (90 * 24 * 3600 * USEC_PER_SEC)

static bool check_reachable(const struct doctor_facts *facts, struct doctor_report *rep)
{
	if (facts->status)
		return true;
	switch (facts->agent_error) {
	case -ENOENT:
	case -ECONNREFUSED:
		doctor_say(rep, DOCTOR_BAD, "the agent does not run");
		doctor_advise(rep, "systemctl start peergate-agent; "
				   "journalctl -u peergate-agent says why it ended");
		break;
	case -EACCES:
	case -EPERM:
		doctor_say(rep, DOCTOR_UNKNOWN, "the agent's socket may not be opened by you");
		doctor_advise(rep, "run this as root");
		break;
	default:
		doctor_say(rep, DOCTOR_BAD, "the agent does not answer: %s",
			   strerror(-facts->agent_error));
		doctor_advise(rep, "journalctl -u peergate-agent; systemctl restart "
				   "peergate-agent leaves tunnels and sessions as they are");
		break;
	}
	return false;
}

static void check_version(const struct doctor_facts *facts, struct doctor_report *rep)
{
	const char *version = value_text(facts->status, "version");

	if (strcmp(version, facts->version) == 0) {
		doctor_say(rep, DOCTOR_GOOD, "runs, version %s", version);
		return;
	}
	doctor_say(rep, DOCTOR_WARN, "the agent is of version %s, agentctl of %s", version,
		   facts->version);
	doctor_advise(rep, "systemctl restart peergate-agent, which takes up what is installed");
}

static void check_map(const struct doctor_facts *facts, struct doctor_report *rep)
{
	const char *problem = json_string_value(json_object_get(facts->status, "mapProblem"));
	uint64_t issued = value_number(facts->status, "issuedAt");
	char age[CLI_FORMAT_LEN];

	if (!json_object_get(facts->status, "generation")) {
		doctor_say(rep, DOCTOR_BAD, "no map is in force, the mesh is blocked: %s",
			   problem ? problem : "none was read yet");
		if (json_object_get(facts->status, "link"))
			doctor_advise(rep, "see to it that the coordinator can be reached; "
					   "'agentctl status' says how that goes");
		else
			doctor_advise(rep, "put a map at %s, see peergate-netmap(5)",
				      value_text(facts->status, "mapSource"));
		return;
	}
	if (problem) {
		doctor_say(rep, DOCTOR_BAD, "the newest map was refused: %s", problem);
		doctor_advise(rep, "mend it; until then generation %" PRIu64 " stays in force",
			      value_number(facts->status, "generation"));
		return;
	}
	cli_format_relative(issued, facts->now_usec, age);
	if (issued < facts->now_usec && facts->now_usec - issued > OLD_MAP_USEC) {
		doctor_say(rep, DOCTOR_WARN,
			   "the map is of %s: what was revoked since is not "
			   "known here",
			   age);
		doctor_advise(rep, "see that whoever writes %s still does",
			      value_text(facts->status, "mapSource"));
		return;
	}
	doctor_say(rep, DOCTOR_GOOD, "map generation %" PRIu64 " is in force, issued %s",
		   value_number(facts->status, "generation"), age);
}

static void check_kernel(const struct doctor_facts *facts, struct doctor_report *rep)
{
	const char *problem = json_string_value(json_object_get(facts->status, "kernelProblem"));

	if (!problem) {
		doctor_say(rep, DOCTOR_GOOD, "the kernel agrees with the map");
		return;
	}
	doctor_say(rep, DOCTOR_BAD, "the kernel does not agree with the map: %s", problem);
	doctor_advise(rep, "the agent tries again by itself; remove what is in its way");
}

void doctor_check_agent(const struct doctor_facts *facts, struct doctor_report *rep)
{
	if (!check_reachable(facts, rep))
		return;
	check_version(facts, rep);
	check_map(facts, rep);
	check_kernel(facts, rep);
}
