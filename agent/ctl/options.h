/* The options of agentctl's verbs. */
#pragma once

#include "common/cli/cli.h"

enum {
	OPTION_JSON = 1,
	OPTION_SOCKET,
	OPTION_MESSAGE,
	OPTION_ACCEPT_RISK,
	OPTION_PER_PEER,
	OPTION_FOR,
	OPTION_COORDINATOR,
	OPTION_COORDINATOR_KEY,
	OPTION_AUTH_KEY,
	OPTION_AUTH_KEY_FILE,
	OPTION_SSH,
	OPTION_NO_SSH,
	OPTION_TAGS,
	OPTION_HOSTNAME,
};

/* For cli_program.option; userdata is the struct ctl. */
int ctl_take_option(int id, const char *arg, void *userdata);
