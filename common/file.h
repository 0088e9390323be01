/* Whole files: read with a bound, written so that a crash leaves old or new, never half. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "common/cleanup.h"

/*
 * Read all of a regular file (or of fd), refusing more than max bytes (-EFBIG) and anything that
 * is no regular file (-EINVAL). *ret_data gets a NUL behind the last byte; the caller frees it.
 */
int file_read(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len);
int file_read_fd(int fd, size_t max, char **ret_data, size_t *ret_len);
/* The same of whatever can be read, pipes too: waits for its end. */
int file_read_stream(int fd, size_t max, char **ret_data, size_t *ret_len);

/* Why one of the above failed, for people: behind "cannot be read: ". */
const char *file_read_problem(int error);

/*
 * Write to a temporary name beside path, fsync, rename, fsync the directory.
 * Return: 0, negative errno; on failure path is what it was and the temporary file is gone.
 */
int file_write_atomic(int dirfd, const char *path, const void *data, size_t len, mode_t mode);

/*
 * Like above for what need not outlive a crash of the machine (in /run): waits for no disk. Old or
 * new it is for readers all the same.
 */
int file_replace(int dirfd, const char *path, const void *data, size_t len, mode_t mode);

/*
 * Like the first, but only if path does not exist (-EEXIST): for keys, which are made once.
 */
int file_write_new(int dirfd, const char *path, const void *data, size_t len, mode_t mode);
