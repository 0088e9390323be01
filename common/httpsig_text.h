/* The texts that signing, reading and verifying a request share. Private to httpsig*.c. */
#pragma once

#include "common/httpsig.h"

#define HTTPSIG_COMPONENTS \
	"(\"@method\" \"@path\" \"@query\" \"content-digest\" \"peergate-coordinator\")"
#define HTTPSIG_LABEL "pg="
#define HTTPSIG_ALG   "ed25519"

#define HTTPSIG_DIGEST_FIELD "sha-256="
#define HTTPSIG_AUDIENCE_LEN (ED25519_TEXT_LEN + HTTPSIG_EPOCH_LEN)
