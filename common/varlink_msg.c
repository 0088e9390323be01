#include "common/varlink_msg.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"

/* "org.example.Interface.Name": at least two dots' worth of parts, no empty one. */
static bool is_qualified_name(const char *s)
{
	size_t len = strlen(s), n_dots = 0;

	if (len > VARLINK_MAX_NAME || len == 0 || s[0] == '.' || s[len - 1] == '.')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '.') {
			if (s[i + 1] == '.')
				return false;
			n_dots++;
		} else if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				   "-_",
				   s[i])) {
			return false;
		}
	}
	return n_dots >= 2;
}

static int parse_object(const char *text, size_t len, json_t **ret_object)
{
	json_error_t error;
	json_t *object;
	int r;

	r = json_load(text, len, JSON_REJECT_DUPLICATES, &error, &object);
	if (r < 0)
		return r;
	if (!json_is_object(object)) {
		json_decref(object);
		return -EINVAL;
	}
	*ret_object = object;
	return 0;
}

/* Absent and null mean false. */
static int take_flag(const json_t *object, const char *key, bool *ret_flag)
{
	const json_t *value = json_object_get(object, key);

	if (value && !json_is_boolean(value) && !json_is_null(value))
		return -EINVAL;
	*ret_flag = json_is_true(value);
	return 0;
}

static int take_name(const json_t *object, const char *key, char **ret_name)
{
	const char *name = json_string_value(json_object_get(object, key));
	char *copy;

	if (!name || !is_qualified_name(name))
		return -EINVAL;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	*ret_name = copy;
	return 0;
}

/* Absent and null mean {}. */
static int take_parameters(const json_t *object, json_t **ret_parameters)
{
	json_t *value = json_object_get(object, "parameters");

	if (value && !json_is_object(value) && !json_is_null(value))
		return -EINVAL;
	value = json_is_object(value) ? json_incref(value) : json_object();
	if (!value)
		return -ENOMEM;
	*ret_parameters = value;
	return 0;
}

static int read_call(const json_t *object, struct varlink_call_msg *msg)
{
	bool upgrade;
	int r;

	r = take_flag(object, "more", &msg->more);
	if (r == 0)
		r = take_flag(object, "oneway", &msg->oneway);
	if (r == 0)
		r = take_flag(object, "upgrade", &upgrade);
	if (r < 0)
		return r;
	/* Upgrading would leave the protocol; many answers to a call that wants none make no sense.
	 */
	if (upgrade || (msg->more && msg->oneway))
		return -EINVAL;

	r = take_name(object, "method", &msg->method);
	if (r < 0)
		return r;
	return take_parameters(object, &msg->parameters);
}

int varlink_call_parse(const char *text, size_t len, struct varlink_call_msg *ret_msg)
{
	struct varlink_call_msg msg = { 0 };
	json_t *object;
	int r;

	r = parse_object(text, len, &object);
	if (r < 0)
		return r;
	r = read_call(object, &msg);
	json_decref(object);
	if (r < 0) {
		varlink_call_msg_done(&msg);
		return r;
	}
	*ret_msg = msg;
	return 0;
}

void varlink_call_msg_done(struct varlink_call_msg *msg)
{
	free(msg->method);
	json_decref(msg->parameters);
	*msg = (struct varlink_call_msg){ 0 };
}

static int read_reply(const json_t *object, struct varlink_reply *reply)
{
	int r;

	r = take_flag(object, "continues", &reply->continues);
	if (r < 0)
		return r;
	if (json_object_get(object, "error")) {
		r = take_name(object, "error", &reply->error);
		if (r < 0)
			return r;
		if (reply->continues)
			return -EINVAL;
	}
	return take_parameters(object, &reply->parameters);
}

int varlink_reply_parse(const char *text, size_t len, struct varlink_reply *ret_reply)
{
	struct varlink_reply reply = { 0 };
	json_t *object;
	int r;

	r = parse_object(text, len, &object);
	if (r < 0)
		return r;
	r = read_reply(object, &reply);
	json_decref(object);
	if (r < 0) {
		varlink_reply_done(&reply);
		return r;
	}
	*ret_reply = reply;
	return 0;
}

void varlink_reply_done(struct varlink_reply *reply)
{
	json_decref(reply->parameters);
	free(reply->error);
	*reply = (struct varlink_reply){ 0 };
}

json_t *varlink_call_build(const char *method, json_t *params, bool more, bool oneway)
{
	if (!params)
		params = json_object();
	return json_pack("{s:s, s:o, s:o*, s:o*}", "method", method, "parameters", params, "more",
			 more ? json_true() : NULL, "oneway", oneway ? json_true() : NULL);
}

json_t *varlink_reply_build(json_t *params, bool continues)
{
	if (!params)
		params = json_object();
	return json_pack("{s:o, s:o*}", "parameters", params, "continues",
			 continues ? json_true() : NULL);
}

json_t *varlink_error_build(const char *error, json_t *params)
{
	if (!params)
		params = json_object();
	return json_pack("{s:s, s:o}", "error", error, "parameters", params);
}
