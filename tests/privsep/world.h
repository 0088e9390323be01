/* Where the test keeps its files; besides that see stage.h. */
#pragma once

#include <sys/types.h>

extern char world_dir[];
/* The caller's. */
char *world_path(const char *name);
/* Move a process to another control group of the test's, as PAM may do it. Return: 0, -1. */
int world_move(pid_t pid);
