#include "sshgw/net/auth_request.h"

#include <errno.h>
#include <string.h>

#include "common/chan.h"
#include "common/text.h"

#define MAX_NAME 256u	     /* of a service, a method, an algorithm */
#define MAX_KEY	 (16u << 10) /* certificates are the longest */
#define SUFFIX	 "+password"

static bool is(const uint8_t *name, size_t len, const char *what)
{
	return name && len == strlen(what) && memcmp(name, what, len) == 0;
}

static int get_blob(struct chan_reader *r, size_t max, struct msg_blob *ret_blob)
{
	size_t len;
	const uint8_t *p = chan_get_bytes(r, max, &len);

	if (!p)
		return -EBADMSG;
	ret_blob->data = malloc(len ? len : 1);
	if (!ret_blob->data)
		return -ENOMEM;
	memcpy(ret_blob->data, p, len);
	ret_blob->len = len;
	return 0;
}

/* A key that cannot be named in an answer is none that could be accepted. */
static int parse_key(struct chan_reader *r, struct auth_request *request)
{
	bool is_signed = chan_get_u8(r);
	int k;

	if (r->error)
		return -EBADMSG;
	if (is_signed) {
		request->method = AUTH_METHOD_KEY;
		return 0;
	}
	k = get_blob(r, MAX_NAME, &request->algorithm);
	if (k == 0)
		k = get_blob(r, MAX_KEY, &request->key);
	if (k == 0)
		request->method = AUTH_METHOD_OFFER;
	return k == -ENOMEM ? k : 0;
}

static int parse_method(const uint8_t *name, size_t len, struct chan_reader *r,
			struct auth_request *request)
{
	static const struct {
		const char *name;
		enum auth_method method;
	} methods[] = {
		{ "none", AUTH_METHOD_NONE },
		{ "password", AUTH_METHOD_PASSWORD },
		{ "keyboard-interactive", AUTH_METHOD_INTERACTIVE },
	};

	if (is(name, len, "publickey"))
		return parse_key(r, request);
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (is(name, len, methods[i].name))
			request->method = methods[i].method;
	return 0;
}

int auth_request_parse(const uint8_t *packet, size_t len, struct auth_request *ret_request)
{
	struct chan_reader r = { .data = packet, .len = len };
	_cleanup_(auth_request_done) struct auth_request request = {
		.user = chan_get_string(&r, MSG_MAX_USER),
	};
	size_t service_len, method_len;
	const uint8_t *service = chan_get_bytes(&r, MAX_NAME, &service_len);
	const uint8_t *method = chan_get_bytes(&r, MAX_NAME, &method_len);
	int k = 0;

	if (r.error)
		return r.error;
	if (is(service, service_len, "ssh-connection"))
		k = parse_method(method, method_len, &r, &request);
	if (k < 0)
		return k;
	*ret_request = request;
	request = (struct auth_request){ 0 };
	return 0;
}

void auth_request_done(struct auth_request *request)
{
	free(request->user);
	free(request->algorithm.data);
	free(request->key.data);
	*request = (struct auth_request){ 0 };
}

size_t auth_user_len(const char *user)
{
	size_t len = strlen(user), suffix = strlen(SUFFIX);

	if (len <= suffix || strcmp(user + len - suffix, SUFFIX) != 0)
		return len;
	return len - suffix;
}
