#include "sshgw/monitor/session_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/monitor/journal.h"
#include "sshgw/monitor/monitor.h"
#include "sshgw/signals.h"

static const struct record_limit records = {
	.of = "sessions",
	.budget = { .cost_usec = 50 * 1000, .burst = 400 },
};

/* Those that run, and those that ended of which the net process has not said so yet. */
#define MAX_ENTRIES (2 * CHANNELS_MAX)

void session_log_init(struct monitor *m)
{
	m->session_log.records = records;
}

void session_log_done(struct session_log *log)
{
	free(log->list);
	*log = (struct session_log){ 0 };
}

/* ---- records ---- */

static const char *kind_in_words(enum start_kind kind)
{
	static const char *const words[] = {
		[START_SHELL] = "a shell",
		[START_EXEC] = "a command",
		[START_SFTP] = "sftp",
	};

	return words[kind];
}

void session_log_starting(struct monitor *m, const struct channel *channel)
{
	struct journal_number id = journal_number(channel->id);
	bool replaced = channel->asked != channel->kind;
	_cleanup_free_ char *text = NULL;

	if (!record_limit_take(&m->session_log.records))
		return;
	text = text_printf("Starting %s%s as %s%s%s", kind_in_words(channel->kind),
			   channel->has_pty ? " on a terminal" : "", m->account->name,
			   replaced ? ", in place of " : "",
			   replaced ? kind_in_words(channel->asked) : "");
	journal_record(m, "session-begun", LOG_INFO,
		       LOG_FIELDS({ "CHANNEL", id.text },
				  { "CHANNEL_KIND", start_kind_to_string(channel->kind) },
				  { "CHANNEL_ASKED",
				    replaced ? start_kind_to_string(channel->asked) : NULL }),
		       text ?: "Starting a program");
}

void session_log_refused(struct monitor *m, int level, int error, const char *what)
{
	_cleanup_free_ char *text = NULL;

	if (!record_limit_take(&m->session_log.records))
		return;
	text = text_printf("%s %s%s%s", m->account->name, what, error < 0 ? ": " : "",
			   error < 0 ? strerror(-error) : "");
	journal_record(m, "session-refused", level, NULL, 0, text ?: "Refused a program");
}

void session_log_not_started(struct monitor *m, const struct channel *channel, const char *reason)
{
	struct journal_number id = journal_number(channel->id);
	const char *kind = start_kind_to_string(channel->kind);
	_cleanup_free_ char *text = NULL;

	if (!record_limit_take(&m->session_log.records))
		return;
	text = text_printf("Session of %s (%s) could not be started: %s", m->account->name, kind,
			   reason);
	journal_record(
		m, "session-ended", LOG_NOTICE,
		LOG_FIELDS({ "CHANNEL", id.text }, { "CHANNEL_KIND", kind }, { "REASON", reason }),
		text ?: "A session could not be started");
}

/* What is known of how it ended: fields and text. */
struct ending {
	char status[16], signal[16], text[64];
};

static void describe_ending(const struct session_entry *e, struct ending *ret)
{
	const char *name = signal_to_name(e->exit.value);

	*ret = (struct ending){ 0 };
	if (!e->exited) {
		snprintf(ret->text, sizeof(ret->text), "ended with its %s",
			 e->hung_up ? "channel" : "connection");
	} else if (!e->exit.by_signal) {
		snprintf(ret->status, sizeof(ret->status), "%u", e->exit.value);
		snprintf(ret->text, sizeof(ret->text), "ended with status %s", ret->status);
	} else {
		if (name)
			snprintf(ret->signal, sizeof(ret->signal), "%s", name);
		else
			snprintf(ret->signal, sizeof(ret->signal), "%u", e->exit.value);
		snprintf(ret->text, sizeof(ret->text), "was killed by signal %s", ret->signal);
	}
}

static const char *unless_empty(const char *text)
{
	return text[0] ? text : NULL;
}

static void record(struct monitor *m, const struct session_entry *e)
{
	uint64_t usec = (e->ended_usec ?: clock_usec(CLOCK_MONOTONIC)) - e->begun_usec;
	struct journal_number id = journal_number(e->id), duration = journal_number(usec);
	struct journal_number to = journal_number(e->bytes.to_client),
			      from = journal_number(e->bytes.from_client);
	const char *kind = start_kind_to_string(e->kind);
	_cleanup_free_ char *text = NULL;
	struct ending how;

	if (!record_limit_take(&m->session_log.records))
		return;
	describe_ending(e, &how);
	text = text_printf("Session of %s (%s) %s after %s, %s bytes to the client, %s from it",
			   m->account->name, kind, how.text, journal_seconds(usec).text,
			   e->counted ? to.text : "?", e->counted ? from.text : "?");
	journal_record(m, "session-ended", LOG_INFO,
		       LOG_FIELDS({ "CHANNEL", id.text }, { "CHANNEL_KIND", kind },
				  { "TERMINAL", unless_empty(e->line) },
				  { "EXIT_STATUS", unless_empty(how.status) },
				  { "EXIT_SIGNAL", unless_empty(how.signal) },
				  { "DURATION_USEC", duration.text },
				  { "BYTES_TO_CLIENT", e->counted ? to.text : NULL },
				  { "BYTES_FROM_CLIENT", e->counted ? from.text : NULL }),
		       text ?: "A session ended");
}

/* ---- what is known of each ---- */

static struct session_entry *find(struct session_log *log, uint32_t id)
{
	for (size_t i = 0; i < log->n; i++)
		if (log->list[i].id == id)
			return &log->list[i];
	return NULL;
}

static void finish(struct monitor *m, struct session_entry *e)
{
	record(m, e);
	*e = m->session_log.list[--m->session_log.n];
}

/* A net process that has let go of the channel before it knew of the program counts nothing. */
static void finish_if_known(struct monitor *m, struct session_entry *e)
{
	if (e->exited && (e->counted || e->hung_up))
		finish(m, e);
}

void session_log_started(struct monitor *m, const struct channel *channel)
{
	struct session_log *log = &m->session_log;
	struct session_entry *list;

	/* An honest net process says of each that it ended: the oldest of another's can go. */
	if (log->n >= MAX_ENTRIES)
		finish(m, &log->list[0]);
	list = reallocarray(log->list, log->n + 1, sizeof(*list));
	if (!list) {
		log_warning("Out of memory, the end of a session will have no record");
		return;
	}
	log->list = list;
	list[log->n] = (struct session_entry){
		.id = channel->id,
		.kind = channel->kind,
		.begun_usec = clock_usec(CLOCK_MONOTONIC),
	};
	memcpy(list[log->n++].line, channel->line, sizeof(channel->line));
}

static void note_end(struct session_entry *e)
{
	if (e->ended_usec == 0)
		e->ended_usec = clock_usec(CLOCK_MONOTONIC);
}

void session_log_hung_up(struct monitor *m, uint32_t id)
{
	struct session_entry *e = find(&m->session_log, id);

	if (!e)
		return;
	e->hung_up = true;
	note_end(e);
}

void session_log_exited(struct monitor *m, const struct msg_exited *exited)
{
	struct session_entry *e = find(&m->session_log, exited->channel);

	if (!e)
		return;
	e->exited = true;
	e->exit = *exited;
	e->ended_usec = clock_usec(CLOCK_MONOTONIC);
	finish_if_known(m, e);
}

int session_log_counted(struct monitor *m, struct chan_msg *msg)
{
	struct msg_session_end end;
	struct session_entry *e;

	if (msg_session_end_get(msg, &end) < 0)
		return -EPROTO;
	e = find(&m->session_log, end.channel);
	/* Its record may have been written already. */
	if (!e)
		return 0;
	if (e->counted)
		return -EPROTO;
	e->counted = true;
	e->bytes = end;
	finish_if_known(m, e);
	return 0;
}

void session_log_end(struct monitor *m)
{
	while (m->session_log.n > 0)
		finish(m, &m->session_log.list[0]);
	record_limit_end(&m->session_log.records);
}
