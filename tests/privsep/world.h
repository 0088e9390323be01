/* Where the test keeps its files; besides that see stage.h. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

extern char world_dir[];
/* The caller's. */
char *world_path(const char *name);
/* The host's accounts, with or without that of the agent. Return: 0, -1. */
int world_set_accounts(bool with_agent);
/* Move a process to another control group of the test's, as PAM may do it. Return: 0, -1. */
int world_move(pid_t pid);
