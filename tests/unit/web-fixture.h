/* A browser, as far as the pages need one: it keeps cookies, and fills in forms that it was shown.
 */
#pragma once

#include "tests/unit/coord-fixture.h"

#define ALICE	 "alice@example.com"
#define BOB	 "bob@example.com"
#define PASSWORD "correct horse battery"

struct browser {
	struct coord_fix *coord;
	char cookies[2][128]; /* "NAME=VALUE" each; "": none */
	const char *headers;  /* that it sends besides, each with its CR LF; NULL */
	unsigned status;      /* of the last answer */
	struct http_reply reply;
};
/* One without cookies; the caller frees. */
struct browser *browser_new(struct coord_fix *coord);

/* Return: the status. Cookies that the answer sets are kept. */
unsigned browser_get(struct browser *b, const char *path);
/* Exactly this body. */
unsigned browser_post(struct browser *b, const char *path, const char *body);
/* The token of the form, of the last page, that posts to the path; "" without. Static buffer. */
const char *browser_token(const struct browser *b, const char *path);
/* Post the form of the last page that posts to the path: its hidden fields, and these besides. */
unsigned browser_submit(struct browser *b, const char *path, const char *fields);
/* The path that the last answer, which has to be a redirection, leads to. Static buffer. */
const char *browser_location(const struct browser *b);

/* The last page says this; says nothing of this. */
void browser_sees(const struct browser *b, const char *text);
void browser_misses(const struct browser *b, const char *text);
/* A header field of the last answer has this value (NULL: is not there). */
void browser_header(const struct browser *b, const char *name, const char *value);

/* Give an account this password, by the link. */
void web_fix_password(struct coord_fix *coord, const char *login);
/* Sign in with it, on the page that is asked for, and follow. */
void browser_sign_in(struct browser *b, const char *login);
