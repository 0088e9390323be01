#include "coord/ctl/shown.h"

#include <stdio.h>

char *shown_names(struct ctl_names *names, const json_t *addresses)
{
	json_auto_t *list = ctl_names_of(names, addresses);

	return list ? value_list(list, SHOWN_MAX) : NULL;
}

char *shown_count(size_t n, const char *noun, char *buf, size_t size)
{
	if (n == 0)
		snprintf(buf, size, "no %ss", noun);
	else
		snprintf(buf, size, "%zu %s%s", n, noun, n == 1 ? "" : "s");
	return buf;
}
