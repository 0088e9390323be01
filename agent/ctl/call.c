/* Asking the agent, and telling people what goes wrong with that. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/ctl/ctl.h"
#include "common/text.h"
#include "common/varlink.h"

#define INTERFACE    "io.peergate.Agent."
#define TIMEOUT_USEC UINT64_C(20000000)

static int tell_unreachable(const struct ctl *ctl, int error)
{
	switch (error) {
	case -ENOENT:
	case -ECONNREFUSED:
		fprintf(stderr,
			"agentctl: the agent is not running: nobody listens at %s\n"
			"See 'systemctl status peergate-agent'.\n",
			ctl->socket);
		break;
	case -EACCES:
	case -EPERM:
		fprintf(stderr, "agentctl: you have no permission to connect to %s\n", ctl->socket);
		break;
	case -EAGAIN:
		fprintf(stderr, "agentctl: the agent is busy; try again\n");
		break;
	case -ETIME:
		fprintf(stderr,
			"agentctl: the agent did not answer within %" PRIu64 " s\n"
			"See 'systemctl status peergate-agent'.\n",
			TIMEOUT_USEC / 1000000);
		break;
	case -ECONNRESET:
		fprintf(stderr,
			"agentctl: the agent closed the connection; too many callers, perhaps\n"
			"See 'journalctl -u peergate-agent'.\n");
		break;
	case -EBADMSG:
		fprintf(stderr, "agentctl: what answers at %s is no Peergate agent\n", ctl->socket);
		break;
	default:
		fprintf(stderr, "agentctl: %s: %s\n", ctl->socket, strerror(-error));
		break;
	}
	return CLI_UNREACHABLE;
}

static int tell_error(const struct varlink_reply *reply)
{
	_cleanup_free_ char *error = text_sanitize(reply->error, 256);
	const char *param = json_string_value(json_object_get(reply->parameters, "parameter"));
	const char *errno_name = json_string_value(json_object_get(reply->parameters, "errnoName"));
	const char *name = json_string_value(json_object_get(reply->parameters, "name"));
	const char *reason = json_string_value(json_object_get(reply->parameters, "reason"));
	const char *detail = param	  ? param
			     : errno_name ? errno_name
			     : name	  ? name
			     : reason	  ? reason
					  : "";
	_cleanup_free_ char *shown = text_sanitize(detail, 256);

	if (strcmp(reply->error, "org.varlink.service.PermissionDenied") == 0)
		fprintf(stderr, "agentctl: you may not do this: it is for root and the members of "
				"the group peergate\n");
	else if (strcmp(reply->error, INTERFACE "UnknownNode") == 0)
		fprintf(stderr,
			"agentctl: this host knows no node '%s' (see 'agentctl peers'), and it is "
			"no address\n",
			shown ? shown : "");
	else if (strcmp(reply->error, INTERFACE "TooSlow") == 0)
		fprintf(stderr, "agentctl: events came faster than they were read, and some were "
				"lost; start again\n");
	else if (strcmp(reply->error, INTERFACE "TooManySubscribers") == 0)
		fprintf(stderr, "agentctl: too many are watching already\n");
	else if (strcmp(reply->error, INTERFACE "CannotLog") == 0)
		fprintf(stderr, "agentctl: the kernel does not log what is dropped: %s\n",
			shown ? shown : "");
	else if (strcmp(reply->error, INTERFACE "NotReady") == 0)
		fprintf(stderr, "agentctl: this host has no network map yet; see 'agentctl "
				"status'\n");
	else if (strcmp(reply->error, INTERFACE "NotPossible") == 0)
		fprintf(stderr, "agentctl: %s\n", shown ? shown : "it cannot be done");
	else if (strcmp(reply->error, INTERFACE "OnlyRoot") == 0)
		fprintf(stderr, "agentctl: you may not do this: another coordinator, and SSH, are "
				"for root\n");
	else if (strcmp(reply->error, "org.varlink.service.MethodNotFound") == 0 ||
		 strcmp(reply->error, "org.varlink.service.InterfaceNotFound") == 0)
		fprintf(stderr, "agentctl: the agent does not know this request; it may be of "
				"another version, see 'agentctl version'\n");
	else
		fprintf(stderr, "agentctl: the agent answered %s%s%s\n", error ? error : "an error",
			detail[0] ? ": " : "", shown ? shown : "");
	return CLI_NO;
}

/* CLI_OK: it is no error, and reply has what was asked for. */
static int sort_out(struct varlink_reply *reply, struct ctl_error *error)
{
	if (!reply->error)
		return CLI_OK;
	if (!error || strcmp(reply->error, error->name) != 0)
		return tell_error(reply);
	error->occurred = true;
	error->params = take_ptr(reply->parameters);
	return CLI_NO;
}

int ctl_call(struct ctl *ctl, const char *method, json_t *params, struct ctl_error *error,
	     json_t **ret_reply)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	_cleanup_(varlink_reply_done) struct varlink_reply reply = { 0 };
	char full_name[128];
	int r;

	snprintf(full_name, sizeof(full_name), INTERFACE "%s", method);
	r = varlink_client_connect(ctl->socket, TIMEOUT_USEC, &client);
	if (r < 0) {
		json_decref(params);
		return tell_unreachable(ctl, r);
	}
	r = varlink_client_call(client, full_name, params, TIMEOUT_USEC, &reply);
	if (r < 0)
		return tell_unreachable(ctl, r);
	r = sort_out(&reply, error);
	if (r == CLI_OK)
		*ret_reply = take_ptr(reply.parameters);
	return r;
}

/* Take the next answer. Return: CLI_OK, also at the end (*more false); else exit status. */
static int take_next(struct ctl *ctl, struct varlink_client *client,
		     int (*take)(struct ctl *ctl, const json_t *reply), bool *more)
{
	_cleanup_(varlink_reply_done) struct varlink_reply reply = { 0 };
	int r;

	r = varlink_client_receive(client, UINT64_MAX, &reply);
	if (r < 0)
		return tell_unreachable(ctl, r);
	r = sort_out(&reply, NULL);
	*more = reply.continues;
	return r == CLI_OK ? take(ctl, reply.parameters) : r;
}

int ctl_stream(struct ctl *ctl, const char *method, json_t *params,
	       int (*take)(struct ctl *ctl, const json_t *reply))
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	char full_name[128];
	bool more = true;
	int r;

	snprintf(full_name, sizeof(full_name), INTERFACE "%s", method);
	r = varlink_client_connect(ctl->socket, TIMEOUT_USEC, &client);
	if (r == 0)
		r = varlink_client_send(client, full_name, params, true, TIMEOUT_USEC);
	else
		json_decref(params);
	if (r < 0)
		return tell_unreachable(ctl, r);
	while (r == CLI_OK && more)
		r = take_next(ctl, client, take, &more);
	return r;
}

/* Append the arrays of a part to those of the whole. Return: 0, -ENOMEM. */
static int merge_part(json_t *whole, json_t *part)
{
	const char *key;
	json_t *value;

	json_object_foreach (part, key, value) {
		json_t *to = json_object_get(whole, key);

		if (json_is_array(to) && json_is_array(value) && json_array_extend(to, value) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Where the next part begins, if there is one and it is further on. */
static bool next_part(const json_t *part, json_int_t *first)
{
	json_int_t next = json_integer_value(json_object_get(part, "next"));

	if (next <= *first)
		return false;
	*first = next;
	return true;
}

int ctl_call_parts(struct ctl *ctl, const char *method, json_t **ret_reply)
{
	json_auto_t *whole = NULL;
	json_int_t first = 0;
	bool again;
	int r;

	r = ctl_call(ctl, method, NULL, NULL, &whole);
	if (r != CLI_OK)
		return r;
	again = next_part(whole, &first);
	json_object_del(whole, "next");
	while (again) {
		json_auto_t *part = NULL;

		r = ctl_call(ctl, method, json_pack("{s:I}", "first", first), NULL, &part);
		if (r != CLI_OK)
			return r;
		if (merge_part(whole, part) < 0)
			return ctl_rendered(-ENOMEM);
		again = next_part(part, &first);
	}
	*ret_reply = take_ptr(whole);
	return CLI_OK;
}

int ctl_tell(int status, const char *fmt, ...)
{
	_cleanup_free_ char *raw = NULL, *shown = NULL;
	va_list ap;

	va_start(ap, fmt);
	raw = text_vprintf(fmt, ap);
	va_end(ap);
	shown = raw ? text_sanitize(raw, 1024) : NULL;
	fprintf(stderr, "agentctl: %s\n", shown ? shown : strerror(ENOMEM));
	return status;
}

/* One part, or the whole. NULL: no answer. */
static json_t *ask_part(struct varlink_client *client, const char *method, json_int_t first)
{
	_cleanup_(varlink_reply_done) struct varlink_reply reply = { 0 };
	json_t *params = first > 0 ? json_pack("{s:I}", "first", first) : NULL;
	char full_name[128];

	snprintf(full_name, sizeof(full_name), INTERFACE "%s", method);
	if (varlink_client_call(client, full_name, params, TIMEOUT_USEC, &reply) < 0 || reply.error)
		return NULL;
	return take_ptr(reply.parameters);
}

json_t *ctl_ask(const struct ctl *ctl, const char *method)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	json_auto_t *whole = NULL;
	json_int_t first = 0;
	bool again;

	if (varlink_client_connect(ctl->socket, TIMEOUT_USEC, &client) < 0)
		return NULL;
	whole = ask_part(client, method, 0);
	again = whole && next_part(whole, &first);
	while (again) {
		json_auto_t *part = ask_part(client, method, first);

		if (!part || merge_part(whole, part) < 0)
			return NULL;
		again = next_part(part, &first);
	}
	return take_ptr(whole);
}

int ctl_rendered(int r)
{
	if (r >= 0)
		return CLI_OK;
	fprintf(stderr, "agentctl: %s\n", strerror(-r));
	return CLI_NO;
}

static int print_json(struct ctl *ctl, const json_t *value, size_t layout)
{
	int r = cli_show_json(&ctl->out, value, layout | JSON_ENCODE_ANY);

	if (r == 0)
		fputc('\n', ctl->out.file);
	return ctl_rendered(r);
}

int ctl_print_json(struct ctl *ctl, const json_t *value)
{
	return print_json(ctl, value, JSON_INDENT(2));
}

int ctl_print_json_line(struct ctl *ctl, const json_t *value)
{
	return print_json(ctl, value, JSON_COMPACT);
}
