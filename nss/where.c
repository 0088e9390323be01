#include "nss/module.h"
#include "peergate-config.h"

const char *nss_names_dir(void)
{
	return PEERGATE_RUNTIME_DIR;
}
