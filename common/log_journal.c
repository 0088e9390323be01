/*
 * The journal's own protocol (systemd's JOURNAL_NATIVE_PROTOCOL): one datagram of NAME=VALUE lines.
 * Spoken here and not by libsystemd, which would bring seven libraries into each process of a login
 * that has nothing else to say to systemd.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define MAX_FIELDS     32u
#define IOV_PER_FIELD  4u /* name, '=', value, newline */
#define INIT_PID       1

/*
 * A journal that takes nothing (its disk hangs, somebody floods it, it is stopped) must not hold up
 * what we do, such as ending a session: we wait this long, and then for the pause not at all.
 */
#define WAIT_USEC  150000u
#define PAUSE_USEC USEC_PER_SEC

static int journal_fd = -1;
static uint64_t resume_usec; /* CLOCK_MONOTONIC: nothing is sent before */
static unsigned n_lost;	     /* lines, since the last one that was taken */

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

/* To a name, each time: a journal that was restarted has another socket. Return: 0, -errno. */
static int send_to_journal(struct iovec *iov, size_t n)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET };
	struct msghdr mh = {
		.msg_name = &sun, .msg_namelen = sizeof(sun), .msg_iov = iov, .msg_iovlen = n
	};

	return sendmsg(journal_fd, &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* stderr is the journal's stream, which has no fields. Return: 0, -errno. */
static int send_to_stream(int level, const char *text)
{
	_cleanup_free_ char *line = text_printf("<%d>%s\n", level, text);

	if (!line)
		return -ENOMEM;
	return send(STDERR_FILENO, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno
											: 0;
}

/*
 * The journal finds out a line's unit when it gets to read it, by the process, which may have ended
 * by then: "journalctl --unit" would not show what a login that was refused said last. So it is
 * asked for the unit of the daemon that started us, too (OBJECT_PID=, systemd.journal-fields(7),
 * which counts from root only).
 *
 * Return: 0, -errno: it is lost.
 */
static int send_line(const char *ident, int level, const char *text, const struct log_field *fields,
		     size_t n_fields)
{
	struct iovec iov[(4 + MAX_FIELDS) * IOV_PER_FIELD];
	char priority[] = { (char)('0' + level), '\0' }, parent[16];
	pid_t ppid = getppid();
	size_t n = 0;
	int r;

	n = put_field(iov, n, "MESSAGE", text);
	n = put_field(iov, n, "PRIORITY", priority);
	n = put_field(iov, n, "SYSLOG_IDENTIFIER", ident);
	if (ppid > INIT_PID) {
		snprintf(parent, sizeof(parent), "%d", ppid);
		n = put_field(iov, n, "OBJECT_PID", parent);
	}
	for (size_t i = 0; i < n_fields && i < MAX_FIELDS; i++)
		n = put_field(iov, n, fields[i].name, fields[i].value);
	r = send_to_journal(iov, n);
	/* Too long for a datagram, or no journal now. */
	return r == 0 || r == -EAGAIN || r == -EINTR ? r : send_to_stream(level, text);
}

static int tell_lost(const char *ident)
{
	char text[80];

	if (n_lost == 0)
		return 0;
	snprintf(text, sizeof(text), "The journal did not take %u lines before this one", n_lost);
	return send_line(ident, LOG_WARNING, text, NULL, 0);
}

static void write_journal(const char *ident, int level, const char *text,
			  const struct log_field *fields, size_t n_fields)
{
	uint64_t now = n_lost ? clock_usec(CLOCK_MONOTONIC) : 0;
	int r = n_lost && now < resume_usec ? -EBUSY : tell_lost(ident);

	if (r == 0) {
		n_lost = 0;
		r = send_line(ident, level, text, fields, n_fields);
	}
	if (r == 0)
		return;
	n_lost++;
	if (r != -EBUSY)
		resume_usec = clock_usec(CLOCK_MONOTONIC) + PAUSE_USEC;
}

char *log_journal_env(void)
{
	const char *stream = getenv("JOURNAL_STREAM");

	return stream ? text_printf("JOURNAL_STREAM=%s", stream) : NULL;
}

void log_open_journal(const char *ident)
{
	const struct timeval wait = { .tv_usec = WAIT_USEC };

	log_open(ident);
	if (!stderr_is_journal())
		return;
	journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (journal_fd < 0)
		return;
	(void)setsockopt(journal_fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	log_set_writer(write_journal);
}
