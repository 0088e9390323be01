/* One thing shown by itself: lines of a title and a text. Each returns 0, -ENOMEM. */
#pragma once

#include <jansson.h>

#include "common/cli/style.h"

/* The text is made fit for a terminal here. */
int card_line(const struct cli_out *out, const char *title, const char *text);
/* A line for each text of the member, an array; none if it is empty. */
int card_list(const struct cli_out *out, const char *title, const json_t *object, const char *key);
