/* What the forceCommand of a rule says that is no command. Pure. */
#pragma once

#include <stdbool.h>

/* The word for it, as in ForceCommand of sshd_config(5). */
#define FORCE_COMMAND_SFTP "internal-sftp"

/*
 * Sftp and nothing else: whatever the client asks for, it gets the host's sftp-server, without a
 * shell. command may be NULL: none is forced.
 */
bool force_command_is_sftp(const char *command);
/* It says so with arguments, which sshd's takes and ours does not: it is a command like others. */
bool force_command_is_sftp_with_arguments(const char *command);
