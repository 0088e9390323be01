#include "sshgw/monitor/forwarding_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/monitor/journal.h"

static const struct record_limit records = {
	.of = "forwarding",
	.budget = { .cost_usec = 200 * 1000, .burst = 200 },
};

void forwarding_log_init(struct monitor *m)
{
	m->forwarding.records = records;
}

const char *forward_way(enum forward_kind kind, bool incoming)
{
	if (kind == FORWARD_AGENT || kind == FORWARD_X11)
		return forward_kind_to_string(kind);
	return incoming ? "remote" : "local";
}

/* ---- names for people ---- */

char *forward_name_port(const char *host, uint32_t port)
{
	return text_printf(strchr(host, ':') ? "[%s]:%u" : "%s:%u", *host ? host : "*", port);
}

char *forward_name_connect(const struct msg_connect *msg)
{
	return msg->kind == FORWARD_UNIX ? strdup(msg->target)
					 : forward_name_port(msg->target, msg->port);
}

char *forward_name_listen(const struct msg_listen *msg)
{
	switch (msg->kind) {
	case FORWARD_TCP:
		return forward_name_port(msg->address, msg->port);
	case FORWARD_UNIX:
		return strdup(msg->address);
	case FORWARD_AGENT:
		return strdup("a socket for the client's agent");
	case FORWARD_X11:
		return strdup("a display of the client's");
	}
	return NULL;
}

/* ---- records ---- */

static void record(struct monitor *m, const char *event, int level, const struct log_field *own,
		   size_t n_own, const char *text)
{
	if (record_limit_take(&m->forwarding.records))
		journal_record(m, event, level, own, n_own, text);
}

void forwarding_log_refused(struct monitor *m, const char *way, const char *name,
			    const char *reason)
{
	const struct log_field own[] = { { "FORWARD", way },
					 { "TARGET", name },
					 { "DECISION", "reject" },
					 { "REASON", reason } };
	_cleanup_free_ char *text = text_printf("Refused %s forwarding (%s) to %s: %s", way, name,
						m->account->name, reason);

	record(m, "forward-refused", LOG_NOTICE, own, ARRAY_SIZE(own), text ?: "");
}

void forwarding_log_failed(struct monitor *m, const char *way, const char *name, const char *reason)
{
	const struct log_field own[] = { { "FORWARD", way },
					 { "TARGET", name },
					 { "REASON", reason } };
	_cleanup_free_ char *text = text_printf("No %s forwarding (%s) for %s: %s", way, name,
						m->account->name, reason);

	record(m, "forward-failed", LOG_INFO, own, ARRAY_SIZE(own), text ?: "");
}

void forwarding_log_listening(struct monitor *m, const struct mon_listener *listener)
{
	const char *way = forward_way(listener->request.kind, true);
	const struct log_field own[] = { { "FORWARD", way },
					 { "LISTENER", listener->name },
					 { "ASKED", listener->asked } };
	_cleanup_free_ char *text = text_printf("Listening at %s for %s (%s forwarding)",
						listener->name, m->account->name, way);

	record(m, "forward-listening", LOG_INFO, own, ARRAY_SIZE(own), text ?: "");
}

void forwarding_log_begun(struct monitor *m, const struct mon_forward *forward)
{
	const char *way = forward_way(forward->kind, forward->incoming);
	const struct log_field own[] = { { "FORWARD", way }, { "TARGET", forward->name } };
	_cleanup_free_ char *text =
		text_printf("Forwarding %s %s as %s (%s)", forward->incoming ? "from" : "to",
			    forward->name, m->account->name, way);

	record(m, "forward-begun", LOG_INFO, own, ARRAY_SIZE(own), text ?: "");
}

void forwarding_log_ended(struct monitor *m, const struct mon_forward *forward,
			  const struct msg_forward_end *end)
{
	const char *way = forward_way(forward->kind, forward->incoming);
	const uint64_t usec = clock_usec(CLOCK_MONOTONIC) - forward->begun_usec;
	char duration[24], to[24] = "", from[24] = "";
	const struct log_field own[] = { { "FORWARD", way },
					 { "TARGET", forward->name },
					 { "DURATION_USEC", duration },
					 { "BYTES_TO_CLIENT", end ? to : NULL },
					 { "BYTES_FROM_CLIENT", end ? from : NULL } };
	_cleanup_free_ char *text = NULL;

	snprintf(duration, sizeof(duration), "%" PRIu64, usec);
	if (end) {
		snprintf(to, sizeof(to), "%" PRIu64, end->to_client);
		snprintf(from, sizeof(from), "%" PRIu64, end->from_client);
	}
	text = text_printf("Forwarding %s %s (%s) ended%s after %" PRIu64 ".%03" PRIu64
			   " s%s%s%s%s%s",
			   forward->incoming ? "from" : "to", forward->name, way,
			   end ? "" : " with the connection", usec / 1000000, usec / 1000 % 1000,
			   end ? ", " : "", to, end ? " bytes to the client, " : "", from,
			   end ? " from it" : "");
	record(m, "forward-ended", LOG_INFO, own, ARRAY_SIZE(own), text ?: "");
}

void forwarding_log_end(struct monitor *m)
{
	const struct forwards *table = &m->forwarding.table;

	for (size_t i = 0; i < table->n; i++)
		if (table->list[i].state == MON_FORWARD_UP)
			forwarding_log_ended(m, &table->list[i], NULL);
	record_limit_end(&m->forwarding.records);
}
