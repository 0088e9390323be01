#include "agent/node_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/text.h"

#define KEY_FILE_MAX 256

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

int node_key_make(int dirfd, const char *dir, const char *name, char **reterr_text)
{
	char text[WG_KEY_B64LEN + 1];
	struct wg_key key;
	int r;

	r = wg_key_generate(&key);
	if (r < 0)
		return fail(reterr_text, r, "cannot make a node key: %s", strerror(-r));
	wg_key_to_string(&key, text);
	text[WG_KEY_B64LEN - 1] = '\n';
	r = file_write_new(dirfd, name, text, WG_KEY_B64LEN, 0600);
	explicit_bzero(text, sizeof(text));
	wg_key_wipe(&key);
	/* Somebody else was faster: theirs is the key. */
	if (r < 0 && r != -EEXIST)
		return fail(reterr_text, r, "%s/%s: cannot be written: %s", dir, name,
			    strerror(-r));
	return 0;
}

/* Return: 0, -ENOENT without a text, negative errno and *reterr_text. */
static int open_key(int dirfd, const char *dir, const char *name, int *ret_fd, char **reterr_text)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(reterr_text, -errno, "%s/%s: cannot be opened: %s", dir, name,
			    strerror(errno));
	if (st.st_mode & 077)
		return fail(reterr_text, -EPERM,
			    "%s/%s: others may read or write the node's key (mode %04o); expected "
			    "0600",
			    dir, name, st.st_mode & 07777);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int parse_key(struct node_key *key, char *text, size_t len)
{
	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
	if (wg_key_parse(text, &key->private) < 0 || wg_key_is_zero(&key->private))
		return -EINVAL;
	return wg_key_public(&key->private, &key->public);
}

int node_key_load(int dirfd, const char *dir, const char *name, struct node_key *ret_key,
		  char **reterr_text)
{
	_cleanup_close_ int fd = -1;
	struct node_key key = { 0 };
	char *text = NULL;
	size_t len;
	int r;

	r = open_key(dirfd, dir, name, &fd, reterr_text);
	if (r < 0)
		return r;
	r = file_read_fd(fd, KEY_FILE_MAX, &text, &len);
	if (r < 0)
		return fail(reterr_text, r, "%s/%s: cannot be read: %s", dir, name,
			    file_read_problem(r));
	r = parse_key(&key, text, len);
	explicit_bzero(text, len);
	free(text);
	if (r == 0)
		*ret_key = key;
	wg_key_wipe(&key.private);
	if (r < 0)
		return fail(reterr_text, r,
			    "%s/%s: is no private key; expected one line as wg(8) genkey prints it "
			    "(remove the file to make a new node of this host)",
			    dir, name);
	return 0;
}
