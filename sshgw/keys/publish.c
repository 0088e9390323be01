#include "sshgw/keys/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/base64.h"
#include "common/file.h"
#include "common/text_stream.h"

#define MAX_FILE (64u << 10)

/* The blob begins with its type, as a string with its length in front (RFC 4253, 6.6). */
static int print_key(const struct msg_blob *blob, FILE *file)
{
	const uint8_t *data = (const uint8_t *)blob->data;
	_cleanup_free_ char *text = malloc(BASE64_LEN(blob->len) + 1);

	if (!text)
		return -ENOMEM;
	/* That type is one of three: the length has one byte. */
	fprintf(file, "%.*s %s\n", data[3], (const char *)data + 4,
		base64_encode(blob->data, blob->len, text));
	return 0;
}

static int print_keys(const struct hostkeys *keys, char **ret_text)
{
	struct msg_blob public[MSG_MAX_KEYS];
	size_t n = hostkeys_public(keys, public);
	struct text_stream out;
	char *text;
	int r = text_stream_open(&out);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = print_key(&public[i], out.file);
	text = text_stream_close(&out);
	if (r < 0 || !text) {
		free(text);
		return -ENOMEM;
	}
	*ret_text = text;
	return 0;
}

int hostkeys_publish(const struct hostkeys *keys, const char *path)
{
	_cleanup_free_ char *text = NULL, *there = NULL;
	size_t len;
	int r = print_keys(keys, &text);

	if (r < 0)
		return r;
	if (file_read(AT_FDCWD, path, MAX_FILE, &there, &len) == 0 && strcmp(there, text) == 0)
		return 0;
	return file_replace(AT_FDCWD, path, text, strlen(text), 0644);
}
