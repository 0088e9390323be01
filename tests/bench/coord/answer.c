#include "tests/bench/coord/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/bench/coord/bench.h"

void answer_done(struct answer *answer)
{
	free(answer->text);
	*answer = (struct answer){ 0 };
}

static void keep(struct answer *answer, const char *data, size_t len)
{
	if (answer->len + len + 1 > answer->size) {
		answer->size = 2 * (answer->len + len) + 256;
		answer->text = must_have(realloc(answer->text, answer->size));
	}
	memcpy(answer->text + answer->len, data, len);
	answer->len += len;
	answer->text[answer->len] = '\0';
}

/* The value of a header field, up to the line's end; NULL: none. */
static const char *field(const char *head, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = head; (line = strchr(line, '\n'));) {
		line++;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " ");
	}
	return NULL;
}

static int read_head(struct answer *answer)
{
	const char *length = field(answer->text, "Content-Length");
	const char *epoch = field(answer->text, "Peergate-Epoch");

	if (strncmp(answer->text, "HTTP/1.1 ", 9) != 0)
		return -EPROTO;
	answer->status = (unsigned)strtoul(answer->text + 9, NULL, 10);
	answer->chunked = field(answer->text, "Transfer-Encoding");
	answer->left = length ? strtoul(length, NULL, 10) : 0;
	if (epoch)
		memcpy(answer->epoch, epoch, HTTPSIG_EPOCH_LEN - 1);
	answer->step = answer->chunked ? ANSWER_SIZE : ANSWER_LENGTH;
	answer->len = 0;
	answer->text[0] = '\0';
	if (answer->step == ANSWER_LENGTH && answer->left == 0)
		answer->step = ANSWER_DONE;
	return 0;
}

static long take_head(struct answer *answer, const char *data, size_t len)
{
	size_t before = answer->len, head;
	const char *end;
	int r;

	keep(answer, data, len);
	end = strstr(answer->text + (before > 3 ? before - 3 : 0), "\r\n\r\n");
	if (!end)
		return (long)len;
	head = (size_t)(end - answer->text) + 4;
	r = read_head(answer);
	return r < 0 ? r : (long)(head - before);
}

static long take_size(struct answer *answer, char c)
{
	if (c == '\n') {
		answer->step = answer->left ? ANSWER_CHUNK : ANSWER_TRAILER;
		return 1;
	}
	if (c == '\r')
		return 1;
	if (!strchr("0123456789abcdefABCDEF", c))
		return -EPROTO;
	answer->left = answer->left << 4 | (size_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
	return 1;
}

static long take_body(struct answer *answer, const char *data, size_t len,
		      void (*on_data)(const char *data, size_t len, void *userdata), void *userdata)
{
	size_t n = len < answer->left ? len : answer->left;

	if (answer->chunked && answer->status == 200)
		on_data(data, n, userdata);
	else
		keep(answer, data, n);
	answer->left -= n;
	if (answer->left == 0)
		answer->step = answer->chunked ? ANSWER_CHUNK_END : ANSWER_DONE;
	return (long)n;
}

long answer_take(struct answer *answer, const char *data, size_t len,
		 void (*on_data)(const char *data, size_t len, void *userdata), void *userdata)
{
	size_t at = 0;
	long n = 0;

	while (at < len && answer->step != ANSWER_DONE && n >= 0) {
		const char *rest = data + at;

		switch (answer->step) {
		case ANSWER_HEAD:
			n = take_head(answer, rest, len - at);
			break;
		case ANSWER_SIZE:
			n = take_size(answer, *rest);
			break;
		case ANSWER_LENGTH:
		case ANSWER_CHUNK:
			n = take_body(answer, rest, len - at, on_data, userdata);
			break;
		case ANSWER_CHUNK_END:
		case ANSWER_TRAILER:
			n = 1;
			if (*rest == '\n')
				answer->step =
					answer->step == ANSWER_TRAILER ? ANSWER_DONE : ANSWER_SIZE;
			break;
		case ANSWER_DONE:
			break;
		}
		at += n > 0 ? (size_t)n : 0;
	}
	return n < 0 ? n : (long)at;
}
