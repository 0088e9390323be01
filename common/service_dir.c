#include "common/service_dir.h"

#include <stdlib.h>
#include <string.h>

char *service_dir(const char *variable, const char *fallback)
{
	const char *value = secure_getenv(variable);

	if (!value || value[0] != '/')
		return strdup(fallback);
	return strndup(value, strcspn(value, ":"));
}
