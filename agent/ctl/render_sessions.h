/* What agentctl shows of ListSessions and Subscribe: JSON in, text out. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/cli/style.h"

#define SESSION_ID_MIN 8u /* digits of an id that are shown at least */

/* How many digits tell the sessions apart, SESSION_ID_MIN at least. */
size_t session_id_len(const json_t *sessions);
/* "alice@example.com (laptop) as root". The caller frees; NULL: no memory. */
char *session_words(const json_t *session);

/* Each returns 0 or -ENOMEM. */
int render_sessions(const json_t *sessions, uint64_t now_usec, const struct cli_out *out);
/* One line for one event of Subscribe; none for "ready". */
int render_event(const json_t *event, const struct cli_out *out);
