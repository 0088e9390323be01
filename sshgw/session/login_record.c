#include "sshgw/session/login_record.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <utmp.h>
#include <utmpx.h>

#include "common/text.h"

#define MAX_LINES 64
#define MAX_LINE  16

struct login_record {
	char *utmp, *wtmp, *lastlog, *user, *remote_host;
	uid_t uid, lastlog_uid_max;
	pid_t pid;
	char lines[MAX_LINES][MAX_LINE];
	size_t n_lines;
};

bool login_line_is_valid(const char *line)
{
	size_t digits;

	if (strncmp(line, "pts/", 4) != 0)
		return false;
	line += 4;
	digits = strspn(line, "0123456789");
	return digits > 0 && digits <= 10 && line[digits] == '\0' &&
	       (line[0] != '0' || digits == 1);
}

int login_record_new(const struct login_record_config *config, struct login_record **ret_record)
{
	_cleanup_(login_record_freep) struct login_record *record = calloc(1, sizeof(*record));

	if (!record)
		return -ENOMEM;
	record->utmp = strdup(config->utmp);
	record->wtmp = strdup(config->wtmp);
	record->lastlog = strdup(config->lastlog);
	record->user = strdup(config->user);
	record->remote_host = strdup(config->remote_host);
	record->uid = config->uid;
	record->lastlog_uid_max = config->lastlog_uid_max;
	record->pid = config->pid;
	if (!record->utmp || !record->wtmp || !record->lastlog || !record->user ||
	    !record->remote_host)
		return -ENOMEM;
	*ret_record = take_ptr(record);
	return 0;
}

struct login_record *login_record_free(struct login_record *record)
{
	if (!record)
		return NULL;
	while (record->n_lines > 0)
		(void)login_record_logout(record, record->lines[record->n_lines - 1]);
	free(record->utmp);
	free(record->wtmp);
	free(record->lastlog);
	free(record->user);
	free(record->remote_host);
	free(record);
	return NULL;
}

/* ---- entries ---- */

/* These fields are padded with NUL, and not terminated when full. */
static void put_field(char *field, size_t size, const char *value)
{
	memset(field, 0, size);
	memcpy(field, value, strnlen(value, size));
}

static void put_address(struct utmpx *entry, const char *host)
{
	if (inet_pton(AF_INET, host, entry->ut_addr_v6) != 1 &&
	    inet_pton(AF_INET6, host, entry->ut_addr_v6) != 1)
		memset(entry->ut_addr_v6, 0, sizeof(entry->ut_addr_v6));
}

/* ut_id is the end of the line's name, as sshd and login make it. */
static void put_line(struct utmpx *entry, const char *line)
{
	size_t len = strlen(line), id_len = sizeof(entry->ut_id);

	put_field(entry->ut_line, sizeof(entry->ut_line), line);
	put_field(entry->ut_id, id_len, len > id_len ? line + len - id_len : line);
}

static void make_entry(const struct login_record *record, const char *line, short type,
		       struct utmpx *ret_entry)
{
	struct utmpx entry = { .ut_type = type, .ut_pid = record->pid };
	struct timeval now;

	gettimeofday(&now, NULL);
	entry.ut_tv.tv_sec = (int32_t)now.tv_sec;
	entry.ut_tv.tv_usec = (int32_t)now.tv_usec;
	put_line(&entry, line);
	if (type == USER_PROCESS) {
		put_field(entry.ut_user, sizeof(entry.ut_user), record->user);
		put_field(entry.ut_host, sizeof(entry.ut_host), record->remote_host);
		put_address(&entry, record->remote_host);
	}
	*ret_entry = entry;
}

/* ---- files ---- */

static bool is_absent(const char *path)
{
	return access(path, F_OK) < 0 && errno == ENOENT;
}

static int write_utmp(const struct login_record *record, const struct utmpx *entry)
{
	int r = 0;

	if (is_absent(record->utmp))
		return 0;
	utmpxname(record->utmp);
	setutxent();
	if (!pututxline(entry))
		r = -errno;
	endutxent();
	return r;
}

static void write_wtmp(const struct login_record *record, const struct utmpx *entry)
{
	if (!is_absent(record->wtmp))
		updwtmpx(record->wtmp, entry);
}

static int open_lastlog(const struct login_record *record, int access_mode)
{
	int fd = open(record->lastlog, access_mode | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

static off_t lastlog_place(const struct login_record *record)
{
	return (off_t)record->uid * (off_t)sizeof(struct lastlog);
}

static int write_lastlog(const struct login_record *record, const struct utmpx *entry)
{
	struct lastlog last = { .ll_time = entry->ut_tv.tv_sec };
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (record->uid > record->lastlog_uid_max)
		return 0;
	fd = open_lastlog(record, O_WRONLY);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	memcpy(last.ll_line, entry->ut_line, sizeof(last.ll_line));
	memcpy(last.ll_host, entry->ut_host, sizeof(last.ll_host));
	n = pwrite(fd, &last, sizeof(last), lastlog_place(record));
	if (n < 0)
		return -errno;
	return n == sizeof(last) ? 0 : -EIO;
}

/* Return: whether the account has an entry. */
static bool read_lastlog(const struct login_record *record, struct lastlog *ret_last)
{
	_cleanup_close_ int fd = -1;

	if (record->uid > record->lastlog_uid_max)
		return false;
	fd = open_lastlog(record, O_RDONLY);
	return fd >= 0 &&
	       pread(fd, ret_last, sizeof(*ret_last), lastlog_place(record)) == sizeof(*ret_last) &&
	       ret_last->ll_time != 0;
}

/* The host is what some login program was told it is, and not terminated when the field is full. */
char *login_record_last(const struct login_record *record)
{
	_cleanup_free_ char *raw = NULL, *host = NULL;
	char when[64];
	struct lastlog last;
	struct tm tm;
	time_t seconds;

	if (!read_lastlog(record, &last))
		return NULL;
	seconds = (uint32_t)last.ll_time;
	if (!localtime_r(&seconds, &tm) || !strftime(when, sizeof(when), "%a %b %e %T %Y", &tm))
		return NULL;
	raw = strndup(last.ll_host, sizeof(last.ll_host));
	host = raw ? text_sanitize(raw, sizeof(last.ll_host)) : NULL;
	return text_printf("Last login: %s%s%s\n", when, host && *host ? " from " : "", host ?: "");
}

/* ---- login and logout ---- */

/* Return: its place, n_lines when it is not there. */
static size_t find_line(const struct login_record *record, const char *line)
{
	size_t i = 0;

	while (i < record->n_lines && strcmp(record->lines[i], line) != 0)
		i++;
	return i;
}

int login_record_login(struct login_record *record, const char *line)
{
	struct utmpx entry;
	int r, q;

	if (!login_line_is_valid(line))
		return -EINVAL;
	if (find_line(record, line) < record->n_lines)
		return -EEXIST;
	if (record->n_lines == MAX_LINES)
		return -ENOSPC;
	strcpy(record->lines[record->n_lines++], line);

	make_entry(record, line, USER_PROCESS, &entry);
	r = write_utmp(record, &entry);
	write_wtmp(record, &entry);
	q = write_lastlog(record, &entry);
	return r < 0 ? r : q;
}

int login_record_logout(struct login_record *record, const char *line)
{
	size_t place = find_line(record, line);
	struct utmpx entry;
	int r;

	if (place == record->n_lines)
		return -ENOENT;
	make_entry(record, line, DEAD_PROCESS, &entry);
	r = write_utmp(record, &entry);
	write_wtmp(record, &entry);
	record->n_lines--;
	memmove(record->lines[place], record->lines[record->n_lines], MAX_LINE);
	return r;
}
