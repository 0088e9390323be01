/* For the module under test: the names file is where the test says. */
#include <stdlib.h>

#include "nss/module.h"

const char *nss_names_dir(void)
{
	return getenv("TEST_NAMES_DIR");
}
