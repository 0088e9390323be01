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

static bool is_usual(const char *shell)
{
	static const char *const names[] = { "sh",   "bash", "dash", "ash",  "ksh", "ksh93",
					     "mksh", "zsh",  "csh",  "tcsh", "fish" };
	const char *slash = strrchr(shell, '/');

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (slash && strcmp(slash + 1, names[i]) == 0)
			return true;
	return false;
}

static bool is_listed(const char *shell)
{
	bool found = false;
	const char *line;

	setusershell();
	while (!found && (line = getusershell()))
		found = strcmp(line, shell) == 0;
	endusershell();
	return found;
}

bool sftp_is_direct(const char *shell)
{
	return is_usual(shell) && is_listed(shell);
}
