/* What the agent is told of a connection: agent/api/io.peergate.Agent.varlink has the meaning.
 * Pure. */
#pragma once

#include <jansson.h>

#include "sshgw/monitor/agent_link.h"

/* Parameters of AuthorizeSSH and ResumeSSH; the caller's. NULL: no memory. */
json_t *agent_authorize_params(const struct agent_link_config *config, const char *ssh_user);
json_t *agent_resume_params(const struct agent_link_config *config, const char *ssh_user,
			    const struct lease *lease);
