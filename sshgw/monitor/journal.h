/*
 * Records of what a connection does, in the journal: each with the fields that tell whose it is.
 * peergate-sshgw(8), section JOURNAL, has the table of them.
 */
#pragma once

#include "common/log.h"
#include "sshgw/monitor/monitor.h"

/* Fields of its own that a record may have. */
#define JOURNAL_MAX_OWN 8u

/*
 * One record. event: what it is about, the field EVENT. Who, from where and as whom is added, as
 * far as it is known.
 */
void journal_record(const struct monitor *m, const char *event, int level,
		    const struct log_field *own, size_t n_own, const char *text);

/* A number as the value of a field. */
struct journal_number {
	char text[24];
};
struct journal_number journal_number(uint64_t value);
/* "1.250 s", for the text of a record. */
struct journal_number journal_seconds(uint64_t usec);
