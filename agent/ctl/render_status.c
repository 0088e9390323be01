#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "agent/ctl/render.h"
#include "common/cli/format.h"
#include "common/cli/value.h"
#include "common/text.h"

#define SHOWN_ADDRESSES 8
#define TIME_LEN	21

static void print_label(const struct cli_out *out, const char *label)
{
	cli_print(out, CLI_FAINT, "  %-13s", label);
}

static int print_member(const struct cli_out *out, const char *label, const json_t *object,
			const char *key)
{
	_cleanup_free_ char *shown = value_shown(object, key);

	if (!shown)
		return -ENOMEM;
	print_label(out, label);
	fprintf(out->file, "%s\n", shown);
	return 0;
}

static int print_list_member(const struct cli_out *out, const char *label, const json_t *object,
			     const char *key)
{
	_cleanup_free_ char *shown = value_list(json_object_get(object, key), SHOWN_ADDRESSES);

	if (!shown)
		return -ENOMEM;
	print_label(out, label);
	fprintf(out->file, "%s\n", shown);
	return 0;
}

/* "2027-01-15T08:00:00Z (in 3 d)" */
static void print_time(const struct cli_out *out, uint64_t usec, uint64_t now_usec)
{
	char when[TIME_LEN], relative[CLI_FORMAT_LEN];

	fprintf(out->file, "%s (%s)", format_rfc3339(usec, when, sizeof(when)),
		cli_format_relative(usec, now_usec, relative));
}

static void print_expiry(const struct cli_out *out, const json_t *object, uint64_t now_usec)
{
	const json_t *expiry = json_object_get(object, "keyExpiry");

	print_label(out, "key expires");
	if (expiry)
		print_time(out, value_number(object, "keyExpiry"), now_usec);
	else
		fputs("never", out->file);
	fputc('\n', out->file);
}

/* The person, or what a tagged node is tagged with. */
static int print_owner(const struct cli_out *out, const json_t *object)
{
	_cleanup_free_ char *user = value_shown(object, "user");
	_cleanup_free_ char *name = value_shown(object, "userName");

	if (!user || !name)
		return -ENOMEM;
	if (!json_object_get(object, "user"))
		return print_list_member(out, "tags", object, "tags");
	print_label(out, "user");
	fputs(user, out->file);
	if (json_object_get(object, "userName"))
		fprintf(out->file, " (%s)", name);
	fputc('\n', out->file);
	return 0;
}

/* "1 rule", "2 rules" */
static void print_count(const struct cli_out *out, uint64_t n, const char *what)
{
	fprintf(out->file, "%" PRIu64 " %s%s", n, what, n == 1 ? "" : "s");
}

static void print_ssh(const struct cli_out *out, const json_t *status)
{
	uint64_t n_sessions = value_number(status, "sessions");

	print_label(out, "ssh");
	if (json_is_true(json_object_get(status, "ssh")))
		cli_print(out, CLI_GOOD, "on");
	else
		fputs("off", out->file);
	fputs(", ", out->file);
	print_count(out, value_number(status, "sshRules"), "rule");
	fputs(", ", out->file);
	print_count(out, n_sessions, "connection");
	fputc('\n', out->file);
}

static int print_map(const struct cli_out *out, const json_t *status, uint64_t now_usec)
{
	_cleanup_free_ char *source = value_shown(status, "mapSource");

	if (!source)
		return -ENOMEM;
	print_label(out, "map");
	fprintf(out->file, "generation %" PRIu64 " of ", value_number(status, "generation"));
	print_time(out, value_number(status, "issuedAt"), now_usec);
	fprintf(out->file, "\n  %-13sfrom %s\n", "", source);
	return 0;
}

static int print_of_map(const struct cli_out *out, const json_t *status, uint64_t now_usec)
{
	int r;

	r = print_list_member(out, "addresses", status, "addresses");
	if (r == 0)
		r = print_owner(out, status);
	if (r < 0)
		return r;
	print_expiry(out, status, now_usec);
	r = print_map(out, status, now_usec);
	if (r < 0)
		return r;
	print_label(out, "peers");
	fprintf(out->file, "%" PRIu64 "\n", value_number(status, "peers"));
	print_label(out, "filter");
	print_count(out, value_number(status, "filterRules"), "rule");
	fputc('\n', out->file);
	print_ssh(out, status);
	return 0;
}

/* "https://coord.example, connected" */
static int print_link(const struct cli_out *out, const json_t *link)
{
	_cleanup_free_ char *url = value_shown(link, "coordinator");
	_cleanup_free_ char *state = value_shown(link, "state");
	_cleanup_free_ char *join = value_shown(link, "join");
	bool good = strcmp(value_text(link, "state"), "connected") == 0;

	if (!url || !state || !join)
		return -ENOMEM;
	print_label(out, "coordinator");
	if (json_object_get(link, "coordinator"))
		fprintf(out->file, "%s, ", url);
	cli_print(out, good ? CLI_GOOD : CLI_WARN, "%s", state);
	/* A new key is on its way. */
	if (json_object_get(link, "nodeId") && strcmp(value_text(link, "join"), "idle") != 0)
		fprintf(out->file, ", new key: %s", join);
	fputc('\n', out->file);
	return 0;
}

static int print_warnings(const struct cli_out *out, const json_t *warnings)
{
	for (size_t i = 0; i < json_array_size(warnings); i++) {
		_cleanup_free_ char *message = value_shown(json_array_get(warnings, i), "message");

		if (!message)
			return -ENOMEM;
		if (i == 0)
			fputc('\n', out->file);
		cli_print(out, CLI_WARN, "warning:");
		fprintf(out->file, " %s\n", message);
	}
	return 0;
}

static int print_title(const struct cli_out *out, const json_t *status, bool has_map)
{
	_cleanup_free_ char *name = value_shown(status, "nodeName");
	_cleanup_free_ char *domain = value_shown(status, "domain");

	if (!name || !domain)
		return -ENOMEM;
	if (has_map)
		cli_print(out, CLI_HEADING, "%s.%s", name, domain);
	else
		cli_print(out, CLI_HEADING, "(no map yet)");
	fputc('\n', out->file);
	return 0;
}

int ctl_render_status(const json_t *status, uint64_t now_usec, const struct cli_out *out)
{
	bool has_map = json_object_get(status, "generation");
	int r;

	r = print_title(out, status, has_map);
	if (r == 0 && has_map)
		r = print_of_map(out, status, now_usec);
	if (r == 0 && !has_map && json_string_length(json_object_get(status, "mapSource")) > 0)
		r = print_member(out, "map", status, "mapSource");
	if (r == 0 && json_object_get(status, "link"))
		r = print_link(out, json_object_get(status, "link"));
	if (r == 0)
		r = print_member(out, "interface", status, "interface");
	if (r == 0)
		r = print_member(out, "public key", status, "publicKey");
	if (r == 0)
		r = print_member(out, "agent", status, "version");
	if (r == 0)
		r = print_warnings(out, json_object_get(status, "warnings"));
	return r;
}

int ctl_render_whois(const char *address, const json_t *node, uint64_t now_usec,
		     const struct cli_out *out)
{
	_cleanup_free_ char *name = value_shown(node, "nodeName");
	int r;

	if (!name)
		return -ENOMEM;
	fprintf(out->file, "%s is ", address);
	cli_print(out, CLI_HEADING, "%s\n", name);
	r = print_owner(out, node);
	if (r == 0)
		r = print_list_member(out, "addresses", node, "addresses");
	if (r == 0 && json_array_size(json_object_get(node, "routes")) > 0)
		r = print_list_member(out, "routes", node, "routes");
	if (r == 0)
		r = print_member(out, "node", node, "nodeId");
	if (r == 0)
		r = print_member(out, "public key", node, "nodeKey");
	if (r == 0)
		print_expiry(out, node, now_usec);
	return r;
}
