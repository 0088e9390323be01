/* The map of the data directory as JSON, to be changed at one place by each case. */
#pragma once

#include <jansson.h>

#include "agent/netmap/netmap.h"

json_t *document_load(void);
/* As netmap_parse(), of "m.json". */
int document_parse(const json_t *document, char **reterr_text, struct netmap **ret_map);
/*
 * path: "a.b[2].c". value NULL: delete it; else JSON. An array index one past the end appends. The
 * test fails if there is no such place.
 */
void document_set(json_t *root, const char *path, const char *value);
