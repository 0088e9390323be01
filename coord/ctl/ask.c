/* Asking the coordinator, and telling people what comes of it. */
#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"
#include "coord/ctl/ctl.h"

#define USEC 1000000u

static int connect_to(struct ctl *ctl)
{
	_cleanup_free_ char *text = NULL;
	int r;

	if (ctl->client)
		return CLI_OK;
	r = client_new(&ctl->server, &text, &ctl->client);
	if (r == -EINVAL)
		return ctl_tell_usage(ctl, "%s", text);
	return r < 0 ? ctl_tell(ctl, "%s", text ? text : strerror(-r)) : CLI_OK;
}

int ctl_tell_refused(struct ctl *ctl, const struct client_reply *reply)
{
	json_auto_t *json = json_loadb(reply->body, reply->len, 0, NULL);
	const char *message =
		json_string_value(json_object_get(json_object_get(json, "error"), "message"));

	if (message)
		ctl_tell(ctl, "%s", message);
	else
		ctl_tell(ctl,
			 "what answers is no Peergate coordinator, or a proxy before it: "
			 "status %u",
			 reply->status);
	return message && reply->status < 500 ? CLI_NO : CTL_NO_ANSWER;
}

int ctl_ask_raw(struct ctl *ctl, const struct client_request *request, unsigned also,
		struct client_reply *ret_reply)
{
	_cleanup_(client_reply_done) struct client_reply reply = { 0 };
	_cleanup_free_ char *text = NULL;
	int r = connect_to(ctl);

	if (r != CLI_OK)
		return r;
	r = client_ask(ctl->client, request, &text, &reply);
	if (r < 0)
		return ctl_tell(ctl, "%s", text ? text : strerror(-r));
	if (reply.status != 200 && reply.status != also)
		return ctl_tell_refused(ctl, &reply);
	*ret_reply = reply;
	reply = (struct client_reply){ 0 };
	return CLI_OK;
}

int ctl_read_reply(struct ctl *ctl, const struct client_reply *reply, json_t **ret_json)
{
	_cleanup_(json_report_done) struct json_report report = { 0 };
	json_t *json;
	int r = json_parse(reply->body, reply->len, &report, &json);

	if (r == -EINVAL)
		return ctl_tell(ctl, "the answer is no JSON: %s", report.text);
	if (r < 0)
		return ctl_rendered(ctl, r);
	if (!json_is_object(json)) {
		json_decref(json);
		return ctl_tell(ctl, "the answer is no JSON object");
	}
	*ret_json = json;
	return CLI_OK;
}

int ctl_ask(struct ctl *ctl, const char *method, const char *path, json_t *body, json_t **ret_reply)
{
	_cleanup_(client_reply_done) struct client_reply reply = { 0 };
	struct client_request request = { .method = method, .path = path };
	_cleanup_free_ char *text = NULL;
	int r;

	/* Whoever changes something says how: else there was no memory for it. */
	if (!body && strcmp(method, "GET") != 0 && strcmp(method, "DELETE") != 0)
		return ctl_rendered(ctl, -ENOMEM);
	if (body) {
		text = json_compact(body, &request.len);
		json_decref(body);
		if (!text)
			return ctl_rendered(ctl, -ENOMEM);
		request.body = text;
		request.type = "application/json";
	}
	r = ctl_ask_raw(ctl, &request, 0, &reply);
	return r == CLI_OK ? ctl_read_reply(ctl, &reply, ret_reply) : r;
}

int ctl_ask_about(struct ctl *ctl, const char *method, const char *prefix, const char *word,
		  const char *suffix, json_t *body, json_t **ret_reply)
{
	_cleanup_free_ char *path = client_path(prefix, word, suffix);

	if (path)
		return ctl_ask(ctl, method, path, body, ret_reply);
	json_decref(body);
	return ctl_rendered(ctl, -ENOMEM);
}

int ctl_unanswered(int status)
{
	return status == CLI_NO ? CTL_NO_ANSWER : status;
}

bool ctl_has_coordinator(const struct ctl *ctl)
{
	return ctl->server.url || access(ctl->server.socket, F_OK) == 0;
}

int ctl_read_lifetime(struct ctl *ctl, const char *option, const char *text, json_t **ret_value)
{
	uint64_t usec;

	*ret_value = NULL;
	if (!text)
		return CLI_OK;
	if (strcmp(text, "never") == 0)
		*ret_value = json_string(text);
	else if (parse_duration(text, &usec) < 0 || usec < USEC)
		return ctl_tell_usage(ctl, "%s %s: expected a time, such as 12h or 90d, or never",
				      option, text);
	else
		*ret_value = json_integer((json_int_t)(usec / USEC));
	return *ret_value ? CLI_OK : ctl_rendered(ctl, -ENOMEM);
}

json_t *ctl_words_json(const struct ctl_words *words)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < words->n; i++)
		if (json_array_append_new(array, json_string(words->items[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

int ctl_show(struct ctl *ctl, json_t *reply,
	     int (*render)(const struct ctl *ctl, const json_t *reply))
{
	int r;

	if (ctl->json)
		return ctl_print_json(ctl, reply);
	r = render(ctl, reply);
	json_decref(reply);
	return ctl_rendered(ctl, r);
}
