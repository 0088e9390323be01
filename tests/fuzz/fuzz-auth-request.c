/* Authentication requests from a client: what is understood of one would be understood again. */
#include <stdlib.h>
#include <string.h>

#include "common/chan.h"
#include "sshgw/net/auth_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const methods[] = {
	[AUTH_METHOD_OTHER] = "hostbased",   [AUTH_METHOD_NONE] = "none",
	[AUTH_METHOD_OFFER] = "publickey",   [AUTH_METHOD_KEY] = "publickey",
	[AUTH_METHOD_PASSWORD] = "password", [AUTH_METHOD_INTERACTIVE] = "keyboard-interactive",
};

static void put(struct chan_writer *w, const struct auth_request *request)
{
	chan_put_string(w, request->user);
	chan_put_string(w, "ssh-connection");
	chan_put_string(w, methods[request->method]);
	chan_put_u8(w, request->method == AUTH_METHOD_KEY);
	chan_put_bytes(w, request->algorithm.data, request->algorithm.len);
	chan_put_bytes(w, request->key.data, request->key.len);
}

static bool is_same(const struct msg_blob *a, const struct msg_blob *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(auth_request_done) struct auth_request request = { 0 }, again = { 0 };
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	if (auth_request_parse(data, size, &request) < 0)
		return 0;
	if (auth_user_len(request.user) > strlen(request.user))
		abort();
	put(&w, &request);
	if (auth_request_parse(w.data, w.len, &again) < 0 || again.method != request.method ||
	    strcmp(again.user, request.user) != 0)
		abort();
	if (request.method == AUTH_METHOD_OFFER &&
	    (!is_same(&again.algorithm, &request.algorithm) || !is_same(&again.key, &request.key)))
		abort();
	return 0;
}
