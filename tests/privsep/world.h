/* Where the test keeps its files; besides that see stage.h. */
#pragma once

extern char world_dir[];
/* The caller's. */
char *world_path(const char *name);
