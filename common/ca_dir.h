/*
 * Directories of certificates to trust, each under the hash of its subject's name
 * (openssl-rehash(1), update-ca-certificates(8)), as libcrypto looks for them. Of such a directory
 * it reads those that it is asked about; a file with all of them takes 2 MB of memory for as long
 * as there is a connection.
 */
#pragma once

#include <stdbool.h>

/* Has it any? NULL: no. */
bool is_ca_dir(const char *path);
