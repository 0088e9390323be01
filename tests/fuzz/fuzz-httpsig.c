/*
 * A signed request from anywhere. Input: method, path and query, a line each; header fields, a line
 * each; an empty line; the body. One such request was signed (corpus/httpsig/known): nothing else
 * may pass for it. And whatever can be signed passes when it is.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/httpsig.h"
#include "common/text.h"
#include "tests/unit/known-keys.h"

#define NOW	   1800000000u
#define KNOWN_PATH "/v1/map"
#define KNOWN_BODY "{\"hello\": \"world\"}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* Up to a newline; *data is put behind it. Return: the caller's to free; NULL at the end. */
static char *take_line(const uint8_t **data, size_t *size)
{
	const uint8_t *newline = *size > 0 ? memchr(*data, '\n', *size) : NULL;
	size_t len;
	char *line;

	if (!newline)
		return NULL;
	len = (size_t)(newline - *data);
	line = strndup((const char *)*data, len);
	require(line);
	*data += len + 1;
	*size -= len + 1;
	return line;
}

static void check_verdict(const struct httpsig *sig, const struct httpsig_request *request,
			  const struct httpsig_audience *audience)
{
	_cleanup_free_ char *text = NULL;
	int r = httpsig_verify(sig, request, audience, NOW, &text);

	if (r < 0) {
		require(text && !text_has_control(text) && text_is_utf8(text));
		return;
	}
	require(!text && sig->created == NOW);
	require(strcmp(request->method, "POST") == 0 && strcmp(request->path, KNOWN_PATH) == 0);
	require(strcmp(request->query, "session=a%20b&seq=7") == 0);
	require(request->body_len == strlen(KNOWN_BODY) &&
		memcmp(request->body, KNOWN_BODY, request->body_len) == 0);
}

static void check_headers(const struct httpsig_headers *headers,
			  const struct httpsig_request *request,
			  const struct httpsig_audience *audience)
{
	_cleanup_free_ char *text = NULL;
	struct httpsig sig;
	int r = httpsig_parse(headers, &sig, &text);

	if (r < 0) {
		require(r == -EINVAL && text && !text_has_control(text) && text_is_utf8(text));
		return;
	}
	require(!text && sig.created > 0 && sig.nonce > 0);
	check_verdict(&sig, request, audience);
}

static void check_signed(const struct httpsig_request *request,
			 const struct httpsig_audience *audience)
{
	_cleanup_(ed25519_key_freep) struct ed25519_key *key = known_key(KNOWN_OTHER);
	struct httpsig_headers headers = { 0 };
	struct httpsig_signed s;
	struct httpsig sig;
	char *text = NULL;
	int r;

	r = httpsig_sign(key, request, audience, NOW, 1, &s);
	if (r < 0) {
		require(r == -EINVAL);
		return;
	}
	for (enum httpsig_field f = 0; f < HTTPSIG_N_FIELDS; f++)
		httpsig_collect(&headers, httpsig_field_name(f), s.field[f]);
	require(httpsig_parse(&headers, &sig, &text) == 0);
	require(httpsig_verify(&sig, request, audience, NOW, &text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *method = take_line(&data, &size), *path = take_line(&data, &size);
	_cleanup_free_ char *query = take_line(&data, &size);
	_cleanup_(ed25519_key_freep) struct ed25519_key *coordinator = known_key(KNOWN_COORDINATOR);
	struct httpsig_audience audience = known_audience(coordinator);
	struct httpsig_headers headers = { 0 };
	struct httpsig_request request;
	char *lines[16] = { 0 };
	size_t n = 0;

	if (!query)
		return 0;
	while (n < ARRAY_SIZE(lines) && (lines[n] = take_line(&data, &size))) {
		char *colon = strstr(lines[n++], ": ");

		if (!colon)
			break;
		*colon = '\0';
		httpsig_collect(&headers, lines[n - 1], colon + 2);
	}
	request = (struct httpsig_request){ method, path, query, data, size };
	check_headers(&headers, &request, &audience);
	check_signed(&request, &audience);
	while (n > 0)
		free(lines[--n]);
	return 0;
}
