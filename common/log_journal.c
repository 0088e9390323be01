#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
/* We have fields of our own; the file and line of log_full() help nobody. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "common/log.h"
#include "common/text.h"

#define MAX_ENTRIES 32

static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

static void write_journal(const char *ident, int level, const char *text,
			  const struct log_field *fields, size_t n_fields)
{
	struct iovec iov[MAX_ENTRIES];
	char *entries[MAX_ENTRIES] = {
		text_printf("MESSAGE=%s", text),
		text_printf("PRIORITY=%d", level),
		text_printf("SYSLOG_IDENTIFIER=%s", ident),
	};
	size_t n = 3, n_iov = 0;

	for (size_t i = 0; i < n_fields && n < MAX_ENTRIES; i++)
		entries[n++] = text_printf("%s=%s", fields[i].name, fields[i].value);
	for (size_t i = 0; i < n; i++)
		if (entries[i])
			iov[n_iov++] = (struct iovec){ entries[i], strlen(entries[i]) };
	sd_journal_sendv(iov, (int)n_iov);
	for (size_t i = 0; i < n; i++)
		free(entries[i]);
}

void log_open_journal(const char *ident)
{
	log_open(ident);
	if (stderr_is_journal())
		log_set_writer(write_journal);
}
