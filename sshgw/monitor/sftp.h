/* The system's sftp-server. */
#pragma once

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
