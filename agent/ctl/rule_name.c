#include "agent/ctl/rule_name.h"

#include <inttypes.h>

#include "common/cli/value.h"
#include "common/text.h"

char *ctl_rule_name(const json_t *object, const char *key, const char *list, uint64_t index)
{
	if (json_string_value(json_object_get(object, key)))
		return value_shown(object, key);
	return text_printf("%s[%" PRIu64 "]", list, index);
}
