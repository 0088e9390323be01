#include "sshgw/monitor/sftp.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

static const char *const places[] = {
	"/usr/lib/openssh/sftp-server",	    /* Debian, Ubuntu */
	"/usr/libexec/openssh/sftp-server", /* Fedora, RHEL, Gentoo */
	"/usr/lib/ssh/sftp-server",	    /* Arch, Alpine, older openSUSE */
	"/usr/libexec/ssh/sftp-server",	    /* openSUSE */
	"/usr/libexec/sftp-server",	    /* an OpenSSH of one's own */
};

/* The user is going to run it, not root: whether the user may is found out then. */
static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0;
}

int sftp_find(const char *configured, const char **ret_path)
{
	*ret_path = places[0];
	if (configured && strcmp(configured, "none") == 0)
		return SFTP_OFF;
	if (configured) {
		*ret_path = configured;
		return is_program(configured) ? 0 : SFTP_MISSING;
	}
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (is_program(places[i])) {
			*ret_path = places[i];
			return 0;
		}
	}
	return SFTP_MISSING;
}
