/* agentctl drops: what the packet filter drops, as it happens. */
#pragma once

#include <jansson.h>

#include "common/cli/style.h"

/* One line for an answer of WatchDrops. Return: 0, -ENOMEM. */
int drops_render(const json_t *drop, const struct cli_out *out);

int verb_drops(int argc, char **argv, void *userdata);
