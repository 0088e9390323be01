/* What a rule is called: by its place in the policy, or, without one, by its place in the map. */
#pragma once

#include <jansson.h>
#include <stdint.h>

/*
 * object's member key, such as "acls[0] line 14"; without one "packet_filter[3]", the element index
 * of the map's list. Fit for a terminal. The caller frees; NULL when out of memory.
 */
char *ctl_rule_name(const json_t *object, const char *key, const char *list, uint64_t index);
