/* "policy get", "set", "confirm", "history", "rollback": the one in force. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/cli/format.h"
#include "common/cli/value.h"
#include "common/text.h"
#include "coord/ctl/ctl.h"
#include "coord/ctl/listed.h"
#include "coord/ctl/render.h"
#include "coord/policy/policy_json.h"
#include "coord/registry/registry.h"

#define USEC	    1000000u
#define VERSION_MAX 9999999999u
#define REFUSED	    422u
#define POLICY_TYPE "application/hujson"

/* ---- get ---- */

static int read_version(struct ctl *ctl, const char *text, uint64_t *ret_version)
{
	if (parse_u64(text, VERSION_MAX, ret_version) == 0)
		return CLI_OK;
	return ctl_tell_usage(ctl,
			      "%s: expected a version: a number that \"coordctl policy "
			      "history\" shows, or 0, the default policy",
			      text);
}

int verb_policy_get(int argc, char **argv, void *userdata)
{
	_cleanup_(client_reply_done) struct client_reply reply = { 0 };
	struct client_request request = { .method = "GET", .path = "policy" };
	_cleanup_free_ char *path = NULL;
	struct ctl *ctl = userdata;
	uint64_t version;
	int r = CLI_OK;

	if (ctl->version) {
		r = read_version(ctl, ctl->version, &version);
		path = text_printf("policy/history/%" PRIu64, version);
		request.path = path;
	}
	if (r == CLI_OK && !request.path)
		return ctl_rendered(ctl, -ENOMEM);
	if (r == CLI_OK)
		r = ctl_ask_raw(ctl, &request, 0, &reply);
	if (r == CLI_OK && ctl->json)
		return ctl_print_json(ctl,
				      json_pack("{s:s, s:s}", "etag", reply.etag ? reply.etag : "",
						"policy", reply.body));
	if (r == CLI_OK)
		fwrite(reply.body, 1, reply.len, ctl->out.file);
	return r;
}

/* ---- what a change is answered with ---- */

static int render_current(const struct ctl *ctl, const json_t *reply)
{
	char buf[CLI_FORMAT_LEN];
	const char *confirm = listed_relative(reply, "confirm_by", ctl->now_usec, buf);
	uint64_t version = value_number(reply, "version");

	if (version == 0)
		fputs("The default policy is in force.\n", ctl->out.file);
	else
		fprintf(ctl->out.file, "Version %" PRIu64 " is in force.\n", version);
	if (json_is_false(json_object_get(reply, "changed")))
		fputs("It was before: nothing has changed, and there is nothing to confirm.\n",
		      ctl->out.file);
	if (confirm)
		fprintf(ctl->out.file,
			"It is rolled back to version %" PRIu64 " %s, unless you confirm it:\n"
			"coordctl policy confirm\n",
			value_number(reply, "previous"), confirm);
	return 0;
}

/* Problems of the text, as "policy check" shows them. */
static int show_problems(struct ctl *ctl, const struct source *source, const json_t *list)
{
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	const struct ctl_check check = { .source = source, .problems = &problems };

	if (json_array_size(list) == 0)
		return CLI_OK;
	if (policy_problems_from_json(list, &problems) < 0)
		return ctl_tell(ctl, "the answer's problems cannot be read");
	return ctl_rendered(ctl, ctl_render_check(&check, &ctl->err));
}

static int show_refused(struct ctl *ctl, const struct source *source,
			const struct client_reply *reply)
{
	json_auto_t *json = NULL;
	int r = ctl_read_reply(ctl, reply, &json);

	if (r != CLI_OK)
		return r;
	if (ctl->json)
		r = ctl_print_json(ctl, json_incref(json));
	else if (source)
		r = show_problems(ctl, source, json_object_get(json, "problems"));
	if (r == CLI_OK)
		ctl_tell_refused(ctl, reply);
	return r == CLI_OK ? CLI_NO : r;
}

/* source: of the policy that was sent; NULL: none was. */
static int show_answer(struct ctl *ctl, const struct source *source,
		       const struct client_reply *reply)
{
	json_t *json;
	int r;

	if (reply->status == REFUSED)
		return show_refused(ctl, source, reply);
	r = ctl_read_reply(ctl, reply, &json);
	if (r == CLI_OK && source && !ctl->json)
		r = show_problems(ctl, source, json_object_get(json, "problems"));
	return r == CLI_OK ? ctl_show(ctl, json, render_current) : r;
}

int ctl_send_policy(struct ctl *ctl, const char *path, const struct source *source,
		    json_t **ret_reply)
{
	_cleanup_(client_reply_done) struct client_reply reply = { 0 };
	const struct client_request request = {
		.method = "POST",
		.path = path,
		.type = POLICY_TYPE,
		.body = source->text,
		.len = source->len,
	};
	int r = ctl_ask_raw(ctl, &request, REFUSED, &reply);

	if (r == CLI_OK && reply.status == REFUSED)
		r = show_refused(ctl, source, &reply);
	else if (r == CLI_OK)
		r = ctl_read_reply(ctl, &reply, ret_reply);
	return ctl_unanswered(r);
}

int ctl_get_policy(struct ctl *ctl, struct source *ret_source)
{
	_cleanup_(client_reply_done) struct client_reply reply = { 0 };
	const struct client_request request = { .method = "GET", .path = "policy" };
	int r = ctl_ask_raw(ctl, &request, 0, &reply);

	if (r != CLI_OK)
		return ctl_unanswered(r);
	ret_source->name = strdup("policy");
	ret_source->text = take_ptr(reply.body);
	ret_source->len = reply.len;
	reply.len = 0;
	return ret_source->name ? CLI_OK : ctl_rendered(ctl, -ENOMEM);
}

/* ---- set ---- */

/* The ETag of the version in force, if it is the one that was meant. */
static int match_version(struct ctl *ctl, char **ret_etag)
{
	_cleanup_(client_reply_done) struct client_reply reply = { 0 };
	const struct client_request request = { .method = "GET", .path = "policy" };
	uint64_t wanted, version = 0;
	int r = read_version(ctl, ctl->if_version, &wanted);

	if (r == CLI_OK)
		r = ctl_ask_raw(ctl, &request, 0, &reply);
	if (r != CLI_OK)
		return r;
	if (!reply.etag || sscanf(reply.etag, "\"%" SCNu64 "-", &version) != 1)
		return ctl_tell(ctl, "the answer has no ETag");
	if (version != wanted) {
		ctl_tell(ctl,
			 "version %" PRIu64 " is in force, not %" PRIu64
			 "; get it, and change that",
			 version, wanted);
		return CLI_NO;
	}
	*ret_etag = take_ptr(reply.etag);
	return CLI_OK;
}

static int append(char **path, const char *name, const char *value)
{
	_cleanup_free_ char *query = client_path(name, value, "");
	char *longer =
		query ? text_printf("%s%c%s", *path, strchr(*path, '?') ? '&' : '?', query) : NULL;

	if (!longer)
		return -ENOMEM;
	free(*path);
	*path = longer;
	return 0;
}

static int set_path(struct ctl *ctl, char **ret_path)
{
	_cleanup_free_ char *path = strdup("policy");
	char seconds[24];
	uint64_t usec;
	int r = path ? 0 : -ENOMEM;

	if (ctl->confirm_within && (parse_duration(ctl->confirm_within, &usec) < 0 || usec < USEC ||
				    usec / USEC > REGISTRY_MAX_CONFIRM_SEC))
		return ctl_tell_usage(ctl,
				      "--confirm-within %s: expected a time, such as 5m; a day at "
				      "most",
				      ctl->confirm_within);
	if (ctl->confirm_within) {
		snprintf(seconds, sizeof(seconds), "%" PRIu64, usec / USEC);
		r = append(&path, "confirm_within=", seconds);
	}
	if (r == 0 && ctl->comment)
		r = append(&path, "comment=", ctl->comment);
	if (r == 0)
		*ret_path = take_ptr(path);
	return ctl_rendered(ctl, r);
}

int verb_policy_set(int argc, char **argv, void *userdata)
{
	_cleanup_(client_reply_done) struct client_reply reply = { 0 };
	_cleanup_(source_done) struct source source = { 0 };
	_cleanup_free_ char *path = NULL, *etag = NULL;
	struct client_request request = { .method = "PUT", .type = POLICY_TYPE };
	struct ctl *ctl = userdata;
	int r = ctl_read_source(ctl, argv[0], POLICY_MAX_BYTES, &source);

	if (r == CLI_OK)
		r = set_path(ctl, &path);
	if (r == CLI_OK && ctl->if_version)
		r = match_version(ctl, &etag);
	if (r != CLI_OK)
		return r;
	request.path = path;
	request.body = source.text;
	request.len = source.len;
	request.if_match = etag;
	r = ctl_ask_raw(ctl, &request, REFUSED, &reply);
	return r == CLI_OK ? show_answer(ctl, &source, &reply) : r;
}

/* ---- confirm, roll back ---- */

static int change(struct ctl *ctl, const char *path, const char *body)
{
	_cleanup_(client_reply_done) struct client_reply reply = { 0 };
	const struct client_request request = {
		.method = "POST",
		.path = path,
		.type = "application/json",
		.body = body,
		.len = strlen(body),
	};
	int r = ctl_ask_raw(ctl, &request, REFUSED, &reply);

	return r == CLI_OK ? show_answer(ctl, NULL, &reply) : r;
}

int verb_policy_confirm(int argc, char **argv, void *userdata)
{
	return change(userdata, "policy/confirm", "{}");
}

int verb_policy_rollback(int argc, char **argv, void *userdata)
{
	uint64_t version;
	char body[64];
	int r = read_version(userdata, argv[0], &version);

	if (r != CLI_OK)
		return r;
	snprintf(body, sizeof(body), "{\"version\":%" PRIu64 "}", version);
	return change(userdata, "policy/rollback", body);
}

/* ---- history ---- */

static int render_history(const struct ctl *ctl, const json_t *reply)
{
	static const struct cli_column columns[] = {
		{ "VERSION", true }, { "", false },	   { "SET", false },
		{ "BY", false },     { "COMMENT", false },
	};
	const json_t *versions = json_object_get(reply, "versions");
	struct cli_table *table;
	int r = cli_table_new(columns, ARRAY_SIZE(columns), &table);

	/* Newest first. */
	for (size_t i = json_array_size(versions); r == 0 && i-- > 0;) {
		const json_t *one = json_array_get(versions, i);

		cli_table_add(table, CLI_PLAIN, "%" PRIu64, value_number(one, "version"));
		cli_table_add(table, CLI_GOOD, "%s",
			      json_is_true(json_object_get(one, "in_force")) ? "in force" : "");
		listed_time(table, one, "created", ctl->now_usec, "-");
		listed_text(table, one, "author");
		listed_text(table, one, "comment");
	}
	if (r < 0)
		return r;
	return listed_print(table, versions, json_array_size(versions),
			    "No policy was set yet: the default one is in force.", &ctl->out);
}

int verb_policy_history(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *reply;
	int r = ctl_ask(ctl, "GET", "policy/history", NULL, &reply);

	return r == CLI_OK ? ctl_show(ctl, reply, render_history) : r;
}
