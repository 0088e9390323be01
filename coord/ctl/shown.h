/* Text from files, made fit for a terminal. */
#pragma once

#include <jansson.h>

#include "common/cli/style.h"
#include "common/cli/value.h"
#include "coord/ctl/names.h"

#define SHOWN_MAX 6 /* names in one cell of a table */

/* value_list() of addresses, with the names of nodes for them; at most SHOWN_MAX. */
char *shown_names(struct ctl_names *names, const json_t *addresses);
/* "no errors", "1 error", "2 errors", written into buf, which is returned. */
char *shown_count(size_t n, const char *noun, char *buf, size_t size);
