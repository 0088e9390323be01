/* agentctl doctor */
#include "agent/ctl/doctor/doctor.h"

#include <errno.h>

#include "agent/ctl/doctor/verb.h"

static const struct {
	const char *area;
	void (*check)(const struct doctor_facts *facts, struct doctor_report *rep);
} checks[] = {
	{ "agent", doctor_check_agent },	 { "clock", doctor_check_clock },
	{ "firewall", doctor_check_firewall },	 { "network", doctor_check_network },
	{ "wireguard", doctor_check_wireguard }, { "ssh", doctor_check_ssh },
	{ "sshd", doctor_check_sshd },		 { "client", doctor_check_client },
};

void doctor_check(const struct doctor_facts *facts, struct doctor_report *rep)
{
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		rep->area = checks[i].area;
		checks[i].check(facts, rep);
	}
}

static int show(struct ctl *ctl, const struct doctor_report *rep)
{
	json_auto_t *json = NULL;

	if (!ctl->json)
		return ctl_rendered(doctor_render(rep, &ctl->out));
	json = doctor_json(rep);
	return json ? ctl_print_json(ctl, json) : ctl_rendered(-ENOMEM);
}

int verb_doctor(int argc, char **argv, void *userdata)
{
	struct doctor_report rep = { 0 };
	struct doctor_facts facts;
	struct ctl *ctl = userdata;
	int r;

	r = ctl_rendered(doctor_gather(ctl, &facts));
	if (r == CLI_OK) {
		doctor_check(&facts, &rep);
		r = show(ctl, &rep);
	}
	if (r == CLI_OK && doctor_worst(&rep) == DOCTOR_BAD)
		r = CLI_NO;
	doctor_report_done(&rep);
	doctor_facts_done(&facts);
	return r;
}
