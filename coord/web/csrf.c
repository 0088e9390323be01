#include "coord/web/csrf.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "common/base64.h"
#include "common/sha256.h"

int csrf_token(const char *secret, const char *purpose, char ret_token[CSRF_SIZE])
{
	uint8_t mac[SHA256_LEN];
	unsigned len = 0;

	if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)purpose,
		  strlen(purpose), mac, &len) ||
	    len != sizeof(mac))
		return -EIO;
	base64url_encode(mac, sizeof(mac), ret_token);
	return 0;
}

bool csrf_check(const char *secret, const char *purpose, const char *token)
{
	char right[CSRF_SIZE];

	return token && strlen(token) == CSRF_SIZE - 1 && csrf_token(secret, purpose, right) == 0 &&
	       CRYPTO_memcmp(token, right, CSRF_SIZE - 1) == 0;
}
