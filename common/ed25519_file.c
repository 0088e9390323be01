/* A secret key in a file: one line, "ed25519-seed:" and the seed in base64url. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base64.h"
#include "common/ed25519.h"
#include "common/file.h"
#include "common/text.h"

#define PREFIX	   "ed25519-seed:"
#define PREFIX_LEN (sizeof(PREFIX) - 1)
#define SEED_CHARS BASE64URL_LEN(ED25519_SEED_LEN)
#define FILE_LEN   (PREFIX_LEN + SEED_CHARS + 1)

_printf_(3, 4) static int fail(char **reterr_text, int error, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	if (!text)
		return -ENOMEM;
	*reterr_text = text;
	return error;
}

static int parse(const char *data, size_t len, struct ed25519_key **ret_key)
{
	uint8_t seed[ED25519_SEED_LEN];
	int r;

	if (len != FILE_LEN || memcmp(data, PREFIX, PREFIX_LEN) != 0 || data[FILE_LEN - 1] != '\n')
		return -EINVAL;
	r = base64url_decode(data + PREFIX_LEN, SEED_CHARS, seed, sizeof(seed));
	if (r == 0)
		r = ed25519_key_from_seed(seed, ret_key);
	OPENSSL_cleanse(seed, sizeof(seed));
	return r;
}

/* Return: 0, -ENOENT without a text, negative errno and *reterr_text. */
static int open_private(int dirfd, const char *path, int *ret_fd, char **reterr_text)
{
	_cleanup_close_ int fd =
		openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(reterr_text, -errno, "%s: cannot be opened: %s", path, strerror(errno));
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return fail(reterr_text, -EPERM,
			    "%s: belongs to user %u: the key is not ours alone; \"chown %u\" it",
			    path, st.st_uid, geteuid());
	if (st.st_mode & 077)
		return fail(reterr_text, -EPERM,
			    "%s: others than its owner may use it (mode %04o); \"chmod 0600\" it",
			    path, st.st_mode & 07777);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int load(int dirfd, const char *path, struct ed25519_key **ret_key, char **reterr_text)
{
	_cleanup_close_ int fd = -1;
	char *data = NULL;
	size_t len = 0;
	int r;

	r = open_private(dirfd, path, &fd, reterr_text);
	if (r < 0)
		return r;
	/* One byte more than a key: a longer file is seen to be one. */
	r = file_read_fd(fd, FILE_LEN + 1, &data, &len);
	if (r == 0) {
		r = parse(data, len, ret_key);
		OPENSSL_cleanse(data, len);
		free(data);
	}
	if (r == -EINVAL || r == -EFBIG)
		return fail(reterr_text, -EINVAL,
			    "%s: no key, which is one line of \"" PREFIX "\" and %zu characters",
			    path, (size_t)SEED_CHARS);
	if (r < 0)
		return fail(reterr_text, r, "%s: cannot be read: %s", path, strerror(-r));
	return 0;
}

/* Return: 0, -EEXIST without a text, negative errno and *reterr_text. */
static int create(int dirfd, const char *path, struct ed25519_key **ret_key, char **reterr_text)
{
	_cleanup_(ed25519_key_freep) struct ed25519_key *key = NULL;
	uint8_t seed[ED25519_SEED_LEN];
	char line[FILE_LEN + 1] = PREFIX;
	int r;

	r = ed25519_key_generate(&key);
	if (r < 0)
		return fail(reterr_text, r, "%s: cannot make a key: %s", path, strerror(-r));
	ed25519_key_seed(key, seed);
	base64url_encode(seed, sizeof(seed), line + PREFIX_LEN);
	line[FILE_LEN - 1] = '\n';
	r = file_write_new(dirfd, path, line, FILE_LEN, 0600);
	OPENSSL_cleanse(seed, sizeof(seed));
	OPENSSL_cleanse(line, sizeof(line));
	if (r == -EEXIST)
		return r;
	if (r < 0)
		return fail(reterr_text, r, "%s: cannot be written: %s", path, strerror(-r));
	*ret_key = take_ptr(key);
	return 0;
}

int ed25519_key_load_or_create(int dirfd, const char *path, struct ed25519_key **ret_key,
			       char **reterr_text)
{
	int r;

	r = load(dirfd, path, ret_key, reterr_text);
	if (r != -ENOENT)
		return r;
	r = create(dirfd, path, ret_key, reterr_text);
	if (r != -EEXIST)
		return r < 0 ? r : ED25519_CREATED;
	/* Somebody else was faster: theirs is the key. */
	r = load(dirfd, path, ret_key, reterr_text);
	return r == -ENOENT ? fail(reterr_text, -EAGAIN, "%s: comes and goes", path) : r;
}
