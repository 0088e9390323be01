/* Answers. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/text.h"
#include "coord/http/internal.h"

int http_respond_check(const struct http_request *req)
{
	if (req->phase == HTTP_FINISHED)
		return -ENOTCONN;
	return req->phase > HTTP_WAITING ? -EALREADY : 0;
}

int http_respond_mhd(struct http_request *req, unsigned status, struct MHD_Response *response)
{
	/* How libmicrohttpd reads chunks, others may not: whatever follows them is not read. */
	bool close = req->chunked || req->listener->server->stopping;

	if (close && MHD_add_response_header(response, "Connection", "close") != MHD_YES) {
		MHD_destroy_response(response);
		return -ENOMEM;
	}
	req->response = response;
	req->status = status;
	req->phase = HTTP_ANSWER;
	if (status >= 400)
		http_log_refused(req, status, NULL);
	http_flush_later(req);
	return 0;
}

enum MHD_Result http_respond_queue(struct http_request *req)
{
	enum MHD_Result result = MHD_queue_response(req->mhd, req->status, req->response);

	MHD_destroy_response(req->response);
	req->response = NULL;
	req->phase = HTTP_SENDING;
	/* A stream may last for weeks. */
	if (req->stream)
		http_request_forget_target(req);
	return result;
}

static void unref_buf(void *buf)
{
	http_buf_unref(buf);
}

static struct MHD_Response *make_response(struct http_buf *body)
{
	struct MHD_Response *response;

	if (!body)
		return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	response = MHD_create_response_from_buffer_with_free_callback_cls(
		http_buf_len(body), (void *)http_buf_data(body), unref_buf, body);
	if (response)
		http_buf_ref(body);
	return response;
}

/* Return: 0, -EINVAL, -ENOMEM. libmicrohttpd does not say which. */
static int add_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (text_has_control(name) || text_has_control(value))
		return -EINVAL;
	return MHD_add_response_header(response, name, value) == MHD_YES ? 0 : -ENOMEM;
}

static int add_headers(struct MHD_Response *response, const struct http_response *r)
{
	int error = add_header(response, "Cache-Control", "no-store");

	if (error == 0 && r->content_type)
		error = add_header(response, "Content-Type", r->content_type);
	for (size_t i = 0; i < r->n_headers && error == 0; i++)
		error = add_header(response, r->headers[i].name, r->headers[i].value);
	return error;
}

int http_respond(struct http_request *req, const struct http_response *r)
{
	struct MHD_Response *response;
	int error = http_respond_check(req);

	if (error < 0)
		return error;
	response = make_response(r->body);
	if (!response)
		return -ENOMEM;
	error = add_headers(response, r);
	if (error < 0) {
		MHD_destroy_response(response);
		return error;
	}
	error = http_respond_mhd(req, r->status, response);
	if (error == 0 && r->body && !req->head)
		req->listener->server->stats.bytes_out += http_buf_len(r->body);
	return error;
}

void http_request_note_error(struct http_request *req, const json_t *body)
{
	const char *code =
		json_string_value(json_object_get(json_object_get(body, "error"), "code"));

	snprintf(req->code, sizeof(req->code), "%s", code ? code : "");
}

int http_respond_json_with(struct http_request *req, unsigned status, json_t *body,
			   const struct http_header *headers, size_t n_headers)
{
	_cleanup_(http_buf_unrefp) struct http_buf *buf = body ? http_buf_json(body) : NULL;
	const struct http_response response = {
		.status = status,
		.content_type = "application/json",
		.headers = headers,
		.n_headers = n_headers,
		.body = buf,
	};

	http_request_note_error(req, body);
	json_decref(body);
	return buf ? http_respond(req, &response) : -ENOMEM;
}

int http_respond_json(struct http_request *req, unsigned status, json_t *body)
{
	return http_respond_json_with(req, status, body, NULL, 0);
}

json_t *http_error_json(const char *code, const char *message)
{
	return json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", message);
}

int http_respond_error(struct http_request *req, unsigned status, const char *code, const char *fmt,
		       ...)
{
	_cleanup_free_ char *message = NULL;
	va_list ap;

	va_start(ap, fmt);
	message = text_vprintf(fmt, ap);
	va_end(ap);
	return message ? http_respond_json(req, status, http_error_json(code, message)) : -ENOMEM;
}

int http_respond_refusal(struct http_request *req)
{
	const struct http_refusal *refusal = &req->refusal;
	const struct http_header allow = { "Allow", refusal->allow };

	return http_respond_json_with(req, refusal->status,
				      http_error_json(refusal->code, refusal->message), &allow,
				      refusal->status == 405 ? 1 : 0);
}

int http_respond_later(struct http_request *req, unsigned seconds)
{
	char text[16];
	const struct http_header retry = { "Retry-After", text };
	int r;

	snprintf(text, sizeof(text), "%u", seconds);
	r = http_respond_json_with(
		req, 429,
		http_error_json("too_many_requests", "too many requests; try again later"), &retry,
		1);
	return r < 0 ? r : HTTP_ANSWERED;
}
