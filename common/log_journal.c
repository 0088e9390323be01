/*
 * The journal's own protocol (systemd's JOURNAL_NATIVE_PROTOCOL): one datagram of NAME=VALUE lines.
 * Spoken here and not by libsystemd, which would bring seven libraries into each process of a login
 * that has nothing else to say to systemd.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/text.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define MAX_FIELDS     32u
#define IOV_PER_FIELD  4u /* name, '=', value, newline */

static int journal_fd = -1;

static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* Values have no newline: log_full() escapes what is not printable. */
static size_t put_field(struct iovec *iov, size_t n, const char *name, const char *value)
{
	static char equals[] = "=", newline[] = "\n";

	iov[n++] = (struct iovec){ (char *)name, strlen(name) };
	iov[n++] = (struct iovec){ equals, 1 };
	iov[n++] = (struct iovec){ (char *)value, strlen(value) };
	iov[n++] = (struct iovec){ newline, 1 };
	return n;
}

/* To a name, each time: a journal that was restarted has another socket. */
static bool send_to_journal(struct iovec *iov, size_t n)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET };
	struct msghdr mh = {
		.msg_name = &sun, .msg_namelen = sizeof(sun), .msg_iov = iov, .msg_iovlen = n
	};

	return sendmsg(journal_fd, &mh, MSG_NOSIGNAL) >= 0;
}

static void write_journal(const char *ident, int level, const char *text,
			  const struct log_field *fields, size_t n_fields)
{
	struct iovec iov[(3 + MAX_FIELDS) * IOV_PER_FIELD];
	char priority[] = { (char)('0' + level), '\0' };
	size_t n = 0;

	n = put_field(iov, n, "MESSAGE", text);
	n = put_field(iov, n, "PRIORITY", priority);
	n = put_field(iov, n, "SYSLOG_IDENTIFIER", ident);
	for (size_t i = 0; i < n_fields && i < MAX_FIELDS; i++)
		n = put_field(iov, n, fields[i].name, fields[i].value);
	/* Too long for a datagram, or no journal now: the stream, which has no fields. */
	if (!send_to_journal(iov, n))
		dprintf(STDERR_FILENO, "<%d>%s\n", level, text);
}

char *log_journal_env(void)
{
	const char *stream = getenv("JOURNAL_STREAM");

	return stream ? text_printf("JOURNAL_STREAM=%s", stream) : NULL;
}

void log_open_journal(const char *ident)
{
	log_open(ident);
	if (!stderr_is_journal())
		return;
	journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (journal_fd >= 0)
		log_set_writer(write_journal);
}
