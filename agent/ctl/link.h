/* The verbs that change this host's part in the mesh, and what they tell. */
#pragma once

#include <jansson.h>

#include "common/cli/style.h"

struct ctl;

int verb_up(int argc, char **argv, void *userdata);
int verb_down(int argc, char **argv, void *userdata);
int verb_login(int argc, char **argv, void *userdata);
int verb_logout(int argc, char **argv, void *userdata);
int verb_set(int argc, char **argv, void *userdata);
int verb_check_login(int argc, char **argv, void *userdata);
int verb_ping(int argc, char **argv, void *userdata);

/* Where a person has to say yes. */
struct ctl_page {
	const char *url;      /* NULL: there is no page */
	const char *code;     /* that the page shows as well */
	const char *operator; /* command for an operator; NULL: none */
};
/* These, and a QR code of the page if that can be shown. Return: 0, -ENOMEM. So do all of these. */
int ctl_render_page(const struct ctl_page *page, const struct cli_out *out);
/* An answer of CheckLogin. */
int ctl_render_check(const json_t *reply, const struct cli_out *out);
/*
 * What is news in an answer of Up or Login after the one before (NULL: the first), in words: whom
 * to turn to for approval, what goes wrong, that it has come to an end.
 */
int ctl_render_link(const json_t *link, const json_t *before, const struct cli_out *out);
