/*
 * What PAM modules have to say to the person (motd, "your account has expired"): collected, bounded
 * by what a message may carry, and made fit for a terminal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "sshgw/msg.h"
#include "sshgw/session/login_record.h"

/*
 * The monitor writes "\r\n" for each newline: what it passes on must fit a message even then. Part
 * of that is left for what we say ourselves (login_record_last()).
 */
#define LOGIN_MESSAGE_MAX (MSG_MAX_TEXT / 2)
#define LOGIN_TEXT_MAX	  (LOGIN_MESSAGE_MAX - LOGIN_RECORD_LAST_MAX)

struct login_text {
	char *data; /* NULL while empty */
	size_t len;
	bool colours; /* let colour sequences through: a motd on a terminal, not a banner */
	bool full;
};

/*
 * Add one message, which may be several lines. What does not fit is cut with a mark. Out of memory
 * loses text: that is better than to lose the login.
 */
void login_text_add(struct login_text *text, const char *message);
/* The collected text or "", borrowed. */
const char *login_text_get(const struct login_text *text);
void login_text_done(struct login_text *text);
