#include "common/random.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "common/base64.h"

int random_bytes(void *buf, size_t len)
{
	ssize_t n = getrandom(buf, len, 0);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int random_secret(char ret_text[RANDOM_SECRET_SIZE])
{
	uint8_t bytes[32];
	int r = random_bytes(bytes, sizeof(bytes));

	if (r == 0)
		base64url_encode(bytes, sizeof(bytes), ret_text);
	explicit_bzero(bytes, sizeof(bytes));
	return r;
}
