#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "coord/api/admin.h"

struct admin_call *admin_call_free(struct admin_call *call)
{
	if (!call)
		return NULL;
	http_request_unref(call->req);
	free(call);
	return NULL;
}

/* ---- answers ---- */

int admin_call_answer(struct admin_call *call, unsigned status, json_t *body)
{
	int r = http_respond_json(call->req, status, body);

	admin_call_free(call);
	/* Nobody is left to hear it: no fault. */
	return r == -ENOTCONN ? 0 : r;
}

int admin_call_refuse(struct admin_call *call, unsigned status, const char *code, const char *fmt,
		      ...)
{
	_cleanup_free_ char *message = NULL;
	va_list ap;

	va_start(ap, fmt);
	message = text_vprintf(fmt, ap);
	va_end(ap);
	return admin_call_answer(call, status, message ? http_error_json(code, message) : NULL);
}

int admin_call_fail(struct admin_call *call, int error)
{
	return admin_call_refuse(call, 503, "unavailable", "%s", strerror(-error));
}

int admin_call_refused(struct admin_call *call, const struct registry_result *result)
{
	if (result->code == REGISTRY_OK)
		return -ENOENT;
	admin_call_refuse(call, api_status(result->code), registry_code_to_string(result->code),
			  "%s", result->text);
	return 0;
}

void admin_call_done(const struct registry_result *result, void *userdata)
{
	struct admin_call *call = userdata;

	if (admin_call_refused(call, result) < 0)
		admin_call_answer(call, 200, json_pack("{s:b}", "ok", true));
}

/* ---- the handler ---- */

int admin_handle(struct http_request *req, void *userdata)
{
	const struct admin_verb *verb = http_request_route(req)->data;
	struct admin_call *call = calloc(1, sizeof(*call));
	int r;

	if (!call)
		return -ENOMEM;
	call->api = userdata;
	call->req = http_request_ref(req);
	r = admin_authorise(call, verb->scope);
	if (r == 0)
		return verb->run(call);
	admin_call_free(call);
	return r < 0 ? r : 0;
}
