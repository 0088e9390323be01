/*
 * Descriptors that come through a Unix socket uninvited (unix(7), SCM_RIGHTS). Whoever drops the
 * last reference to a file waits for its end: for a TCP socket with SO_LINGER (socket(7)) as long
 * as its owner chose, and he may be our caller. The last reference is dropped by taking a message
 * off a socket as well, and by closing a socket with messages on it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* To be called once, before the first byte is read: nothing comes past the order of bytes. */
void passed_prepare(int fd);

/*
 * recv(2) from a Unix stream socket, without waiting, of bytes alone.
 * Return: bytes (0: the end), -EAGAIN, -EBADMSG (descriptors come with them: all stays on the
 * socket, which passed_close() takes care of), other negative errno.
 */
ssize_t passed_read(int fd, void *buf, size_t size);

/*
 * Close a Unix stream or sequenced-packet socket, also one that listens, without waiting for
 * anything, whatever is on it. What has to be
 * waited for is left to a short-lived child: a program that stays should ignore SIGCHLD, or reap.
 * Where there is no process to be had it is closed the next time that there is. For one thread.
 * Return: -1. errno is kept.
 */
int passed_close(int fd);

/*
 * Get rid of a descriptor that came through a socket without waiting for anything: closed, if it is
 * a pipe, a terminal's master or a socket. What it takes to close anything else is up to its
 * filesystem, which may be its owner (fuse(4)): that is left open, until the process ends.
 */
void passed_drop(int fd);

/* None of these asks a filesystem. */
bool passed_is_pipe(int fd);
bool passed_is_terminal_master(int fd);
bool passed_is_socket(int fd);
/* A stream socket over IP or a unix one, that does not listen. */
bool passed_is_connection(int fd);

static inline void passed_closep(int *fd)
{
	*fd = passed_close(*fd);
}
