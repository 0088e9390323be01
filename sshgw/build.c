#include "sshgw/build.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sshgw-build.h"

const char *build_id(void)
{
	return SSHGW_BUILD;
}

int build_check(int argc, char *const argv[])
{
	const char *name = program_invocation_short_name;

	if (argc < 2) {
		fprintf(stderr, "%s is started by peergate-sshgw, not by hand.\n", name);
		return 2;
	}
	if (strcmp(argv[1], SSHGW_BUILD) != 0) {
		fprintf(stderr,
			"%s is of build " SSHGW_BUILD ", but was started by one of build %s: was "
			"an upgrade interrupted? Restart peergate-sshgw.service.\n",
			name, argv[1]);
		return BUILD_MISMATCH;
	}
	return argc > 2 && strcmp(argv[2], BUILD_PROBE) == 0 ? 0 : BUILD_GO_ON;
}
