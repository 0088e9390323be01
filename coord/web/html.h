/*
 * HTML that is put together from literals and from values that are always escaped. Pure.
 *
 * The markup is a literal (the compiler refuses others: -Wformat-nonliteral), values come in by
 * conversions only. What is escaped is safe as text and within an attribute in double quotes; there
 * are no other places for values: no scripts, no styles, no unquoted attributes. Links lead to
 * paths of our own, whose parts html_path() encodes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

/* Zero-initialise; html_done() wipes and frees. */
struct html {
	char *data; /* NUL-terminated once something was added */
	size_t len, size;
	bool failed; /* no memory: the page is of no use */
};
void html_done(struct html *html);

/*
 * Add markup, with "%s" for text (NULL: nothing) and "%u", "%zu", "%llu" for numbers; no flags and
 * widths. Control characters, bidirectional overrides and what is no UTF-8 become U+FFFD: nobody
 * can make a page say something else than it says; line feed and tab stay.
 */
void html_add(struct html *html, const char *markup, ...) _printf_(2, 3);
/* The page is the caller's (NUL-terminated); html is empty then. NULL: there was no memory. */
char *html_take(struct html *html, size_t *ret_len);
