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
int verb_ping(int argc, char **argv, void *userdata);

/*
 * What is news in an answer of Up or Login after the one before (NULL: the first), in words: whom
 * to turn to for approval, what goes wrong, that it has come to an end. Pure. Return: 0, -ENOMEM.
 */
int ctl_render_link(const json_t *link, const json_t *before, const struct cli_out *out);
