#include "agent/ctl/options.h"

#include <stdio.h>
#include <string.h>

#include "agent/ctl/ctl.h"
#include "common/text.h"

static int take_ssh(bool ssh, struct ctl *ctl)
{
	if (ctl->up.set_ssh && ctl->up.ssh != ssh)
		return ctl_tell(CLI_USAGE, "--ssh and --no-ssh do not go together");
	ctl->up.set_ssh = true;
	ctl->up.ssh = ssh;
	return CLI_OK;
}

static int take_duration(const char *arg, struct ctl *ctl)
{
	if (parse_duration(arg, &ctl->for_usec) == 0 && ctl->for_usec > 0)
		return CLI_OK;
	fprintf(stderr, "agentctl: --for wants a time, as in 30s or 5m\n");
	return CLI_USAGE;
}

int ctl_take_option(int id, const char *arg, void *userdata)
{
	struct ctl *ctl = userdata;

	switch (id) {
	case OPTION_JSON:
		ctl->json = true;
		break;
	case OPTION_SOCKET:
		ctl->socket = arg;
		break;
	case OPTION_MESSAGE:
		ctl->message = arg;
		break;
	case OPTION_ACCEPT_RISK:
		if (strcmp(arg, "lose-ssh") != 0)
			return ctl_tell(CLI_USAGE,
					"--accept-risk: '%s' is no risk; there is "
					"lose-ssh",
					arg);
		ctl->accept_risk = true;
		break;
	case OPTION_PER_PEER:
		ctl->per_peer = true;
		break;
	case OPTION_FOR:
		return take_duration(arg, ctl);
	case OPTION_COORDINATOR:
		ctl->up.coordinator = arg;
		break;
	case OPTION_COORDINATOR_KEY:
		ctl->up.coordinator_key = arg;
		break;
	case OPTION_AUTH_KEY:
		ctl->up.auth_key = arg;
		break;
	case OPTION_AUTH_KEY_FILE:
		ctl->up.auth_key_file = arg;
		break;
	case OPTION_SSH:
	case OPTION_NO_SSH:
		return take_ssh(id == OPTION_SSH, ctl);
	case OPTION_TAGS:
		ctl->up.tags = arg;
		break;
	case OPTION_HOSTNAME:
		ctl->up.hostname = arg;
		break;
	}
	return CLI_OK;
}
