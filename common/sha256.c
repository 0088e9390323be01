#include "common/sha256.h"

#include <errno.h>
#include <openssl/evp.h>

int sha256(const void *data, size_t len, uint8_t ret_digest[SHA256_LEN])
{
	return EVP_Digest(data, len, ret_digest, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}
