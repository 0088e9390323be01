/* QR codes as pictures that need nothing from elsewhere. */
#pragma once

#include "common/cleanup.h"

/*
 * "data:image/svg+xml;base64,...", black on white with the margin that scanners want (ISO/IEC
 * 18004: four modules). Return: 0 and *ret_uri, to be freed by secret_free() if text is a secret;
 * -EINVAL: too long; -ENOMEM.
 */
int qr_data_uri(const char *text, char **ret_uri);
