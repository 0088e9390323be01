/*
 * What others do to the kernel, from the news to the line in the log. News may be an echo of our
 * own doing: whether something was wrong is told by what an apply had to change. That of a new map
 * changes much besides, so that the apply made for the news is waited for.
 */
#pragma once

#include <stdbool.h>

#include "agent/kernel/kernel.h"

struct repair {
	char *news;    /* sentences; NULL: none */
	bool due;      /* an apply is scheduled for them, and none has come since */
	bool waiting;  /* the one made for them has not come yet */
	bool applying; /* an apply runs: it sees what is told meanwhile */
	bool pure;     /* and has no other reason */
};

/* Return: is an apply to be scheduled? */
bool repair_note(struct repair *repair, const char *what);
/* for_news: that scheduled apply has come. */
void repair_begin(struct repair *repair, bool for_news);
/*
 * It went through; retried: after others that did not, which explains its changes.
 * Return: has it put right what others changed?
 */
bool repair_succeeded(struct repair *repair, const struct kernel_changes *changes, bool retried);
/* told: with a reason that the log has not got yet. */
void repair_failed(struct repair *repair, bool told);
void repair_clear(struct repair *repair);
