#include "common/force_command.h"

#include <string.h>

bool force_command_is_sftp(const char *command)
{
	return command && strcmp(command, FORCE_COMMAND_SFTP) == 0;
}

bool force_command_is_sftp_with_arguments(const char *command)
{
	size_t len = strlen(FORCE_COMMAND_SFTP);

	return command && strncmp(command, FORCE_COMMAND_SFTP, len) == 0 &&
	       (command[len] == ' ' || command[len] == '\t');
}
