/*
 * A filesystem of one's own (fuse(4)), as any user may have one, with one file: it is opened, and
 * from then on whoever asks about it, or closes it, waits.
 */
#pragma once

#include <sys/types.h>

/* Makes and mounts on dir, where there is none. Return: the file; stays open until the end. */
int mute_fs_open(const char *dir);
/* Its server goes into the control group of that process. */
void mute_fs_join(pid_t other);
/* One more process in that group waits for the file, and cannot be killed meanwhile. */
void mute_fs_hang(pid_t other);
/* The file. */
const char *mute_fs_path(void);
/* Who waits, waits no more. */
void mute_fs_end(void);
