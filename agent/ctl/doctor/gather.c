/* Facts, from the agent first: what the others look for depends on it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/ctl/doctor/doctor.h"
#include "common/clock.h"
#include "peergate-config.h"

int doctor_gather(struct ctl *ctl, struct doctor_facts *facts)
{
	*facts = (struct doctor_facts){
		.root = geteuid() == 0,
		.version = PEERGATE_VERSION,
		.rp_filter = -1,
	};
	doctor_gather_agent(ctl, facts);
	doctor_gather_network(facts);
	doctor_gather_ssh(facts);
	doctor_gather_names(facts);
	facts->fw_error = fw_read(&facts->fw);
	facts->now_usec = clock_usec(CLOCK_REALTIME);
	return facts->fw_error == -ENOMEM ? -ENOMEM : 0;
}

void doctor_facts_done(struct doctor_facts *facts)
{
	char *const texts[] = {
		facts->legacy_tables, facts->udp,  facts->udp6,	   facts->release,
		facts->tcp,	      facts->tcp6, facts->ceiling, facts->sshd_config,
		facts->nsswitch,      facts->user,
	};

	json_decref(facts->status);
	json_decref(facts->peers);
	json_decref(facts->asked);
	json_decref(facts->filter);
	json_decref(facts->known_hosts);
	fw_free(facts->fw);
	free(facts->routes);
	for (size_t i = 0; i < facts->n_names; i++) {
		free(facts->names[i].name);
		free(facts->names[i].ssh);
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	*facts = (struct doctor_facts){ 0 };
}
