#include "sshgw/monitor/journal.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"

void journal_record(const struct monitor *m, const char *event, int level,
		    const struct log_field *own, size_t n_own, const char *text)
{
	const struct lease *lease = &m->lease;
	struct log_field fields[7 + JOURNAL_MAX_OWN] = {
		{ "EVENT", event },
		{ "SSH_USER", m->ssh_user },
		{ "NODE", lease->node_name },
		{ "USER", lease->user },
		{ "RULE", lease->rule },
		{ "LEASE", lease->id },
		{ "LOCAL_USER", lease->local_user },
	};
	size_t n = 7;

	for (size_t i = 0; i < n_own && i < JOURNAL_MAX_OWN; i++)
		fields[n++] = own[i];
	log_full(level, 0, fields, n, "%s", text);
}

struct journal_number journal_number(uint64_t value)
{
	struct journal_number number;

	snprintf(number.text, sizeof(number.text), "%" PRIu64, value);
	return number;
}

struct journal_number journal_seconds(uint64_t usec)
{
	struct journal_number number;

	snprintf(number.text, sizeof(number.text), "%" PRIu64 ".%03" PRIu64 " s",
		 (uint64_t)(usec / USEC_PER_SEC), usec / 1000 % 1000);
	return number;
}
