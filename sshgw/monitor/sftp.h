/* The system's sftp-server. */
#pragma once

#include <stdbool.h>

enum {
	SFTP_OFF = 1, /* this host is to have none */
	SFTP_MISSING, /* there is none */
};

/*
 * Find it: where SftpServer= says (configured, or NULL), or where distributions have it. *ret_path
 * is where it is, or would be; borrowed from configured, or static.
 * Return: 0, SFTP_OFF (*ret_path is where it would be without that), SFTP_MISSING.
 */
int sftp_find(const char *configured, const char **ret_path);

/*
 * May the server be run without this login shell? Only where the shell would run anything else as
 * well: where it is one of the usual ones, by its name, and shells(5) lists it. Others may be there
 * to restrict (git-shell, rbash, a menu), and are often listed all the same, for FTP or chsh(1).
 */
bool sftp_is_direct(const char *shell);
