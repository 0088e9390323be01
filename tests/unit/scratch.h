/* A folder for the files of a test. */
#pragma once

/*
 * In memory, if there is such a file system: a sync that has nothing to wait for is as good for a
 * test. Return: its path, to be given to scratch_remove().
 */
char *scratch_new(void);
/* Removes the files in it. */
void scratch_empty(const char *folder);
/* Return: NULL. */
char *scratch_remove(char *folder);
