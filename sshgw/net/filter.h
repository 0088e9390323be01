/* What the network process may still do once it is sandboxed. */
#pragma once

#include "common/sandbox.h"

/* Root and identity are the caller's to fill in. */
extern const struct sandbox_config net_sandbox;
