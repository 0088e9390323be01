/* Where rules are about, for people: addresses of the mesh by the names of their nodes. */
#pragma once

#include <jansson.h>

#include "coord/web/internal.h"

/*
 * list: addresses, prefixes, "FIRST-LAST", "*". Each node is named once, though it has two
 * addresses; what is long is cut, and says so.
 */
void places_show(struct html *html, const struct web_call *call, const json_t *list);
