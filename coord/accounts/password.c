#include "coord/accounts/password.h"

#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "common/text.h"
#include "coord/accounts/refused.h"

/* yescrypt at the cost that the library thinks right; that is part of every hash. */
#define METHOD "$y$"

char *secret_free(char *secret)
{
	if (secret)
		OPENSSL_cleanse(secret, strlen(secret));
	free(secret);
	return NULL;
}

/* ---- what may be a password ---- */

static size_t n_characters(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

const char *password_problem(const char *password, const char *login)
{
	size_t len = strlen(password);

	if (len > PASSWORD_MAX)
		return "is too long; at most 256 bytes are taken";
	if (!text_is_utf8(password))
		return "is no text in UTF-8";
	if (n_characters(password) < PASSWORD_MIN)
		return "is too short; take at least 10 characters, such as four words that have "
		       "nothing to do with each other";
	if (login && strcasecmp(password, login) == 0)
		return "is the login; whoever guesses begins with that";
	if (password_is_refused(password))
		return "is one of those that whoever guesses begins with; take another one";
	return NULL;
}

/* ---- hashes ---- */

static struct crypt_data *workspace_free(struct crypt_data *data)
{
	if (data)
		OPENSSL_cleanse(data, sizeof(*data));
	free(data);
	return NULL;
}
DEFINE_CLEANUP(struct crypt_data *, workspace_free);

/* setting: a hash, or what one begins with. Return: 0, -ENOMEM, -EINVAL: the setting is none. */
static int hash(const char *password, const char *setting, struct crypt_data **ret_data)
{
	_cleanup_(workspace_freep) struct crypt_data *data = calloc(1, sizeof(*data));

	if (!data)
		return -ENOMEM;
	if (!crypt_rn(password, setting, data, sizeof(*data)))
		return errno == ENOMEM ? -ENOMEM : -EINVAL;
	*ret_data = take_ptr(data);
	return 0;
}

int password_hash(const char *password, char **ret_hash)
{
	_cleanup_(workspace_freep) struct crypt_data *data = NULL;
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	char *text;
	int r;

	if (!crypt_gensalt_rn(METHOD, 0, NULL, 0, setting, sizeof(setting)))
		return errno == ENOMEM ? -ENOMEM : -EIO;
	r = hash(password, setting, &data);
	if (r < 0)
		return r == -EINVAL ? -EIO : r;
	text = strdup(data->output);
	if (!text)
		return -ENOMEM;
	*ret_hash = text;
	return 0;
}

int password_check(const char *password, const char *wanted)
{
	_cleanup_(workspace_freep) struct crypt_data *data = NULL;
	int r = hash(password, wanted, &data);

	if (r < 0)
		return r;
	if (strlen(data->output) != strlen(wanted) ||
	    CRYPTO_memcmp(data->output, wanted, strlen(wanted)) != 0)
		return PASSWORD_WRONG;
	return 0;
}
