#include "agent/check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/filter/compile.h"
#include "agent/netmap/file.h"
#include "agent/netmap/netmap.h"
#include "common/clock.h"
#include "common/text.h"
#include "common/varlink.h"

#define TIMEOUT_USEC UINT64_C(5000000)
#define SHOWN_BYTES  256

/* What the running agent says of itself; NULL: none answers. The caller's. */
static json_t *ask_status(const char *socket)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	_cleanup_(varlink_reply_done) struct varlink_reply reply = { 0 };

	if (varlink_client_connect(socket, TIMEOUT_USEC, &client) < 0 ||
	    varlink_client_call(client, "io.peergate.Agent.Status", NULL, TIMEOUT_USEC, &reply) <
		    0 ||
	    reply.error)
		return NULL;
	return take_ptr(reply.parameters);
}

/* ---- the map ---- */

/* What the running agent knows of itself and of the maps before. */
static int check_with_status(const struct netmap *map, const char *path, const json_t *status,
			     char **reterr_text)
{
	const char *key_text = json_string_value(json_object_get(status, "publicKey"));
	const char *source = json_string_value(json_object_get(status, "mapSource"));
	json_int_t in_force = json_integer_value(json_object_get(status, "generation"));
	struct wg_key key;

	if (source && strcmp(source, path) == 0 && in_force > 0 &&
	    map->generation < (uint64_t)in_force) {
		*reterr_text = text_printf("%s: generation: %" PRIu64
					   " is older than %lld, which is in force; expected at "
					   "least that",
					   path, map->generation, (long long)in_force);
		return *reterr_text ? -ESTALE : -ENOMEM;
	}
	if (!key_text || wg_key_parse(key_text, &key) < 0)
		return 0;
	return netmap_check_own_key(map, &key, path, reterr_text);
}

static int check_filter(const struct netmap *map, const char *path, char **reterr_text)
{
	_cleanup_(filter_table_freep) struct filter_table *table = NULL;
	_cleanup_free_ char *error = NULL;
	int r;

	r = filter_compile(map, clock_usec(CLOCK_REALTIME), &table, &error);
	if (r == -E2BIG)
		*reterr_text = text_printf("%s: %s", path, error ? error : "is too large");
	return r;
}

static int check_map(const struct agent_check *check, const char *path, const json_t *status,
		     char **reterr_text, struct netmap **ret_map)
{
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (!mapfile_path_is_plain(path)) {
		*reterr_text = text_printf("%s: is no plain path; expected an absolute one without "
					   "\".\", \"..\" and \"//\"",
					   path);
		return -EINVAL;
	}
	r = mapfile_load(path, check->owner, &text, &len, reterr_text);
	if (r == 0)
		r = netmap_parse(text, len, path, reterr_text, &map);
	if (r == 0)
		r = check_with_status(map, path, status, reterr_text);
	if (r == 0)
		r = check_filter(map, path, reterr_text);
	if (r == 0)
		*ret_map = take_ptr(map);
	return r;
}

/* Return: exit status. */
static int tell_map(const struct agent_check *check, const char *path, const json_t *status,
		    FILE *out, FILE *err)
{
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	_cleanup_free_ char *error = NULL;
	int r;

	if (!path) {
		fputs("No map is configured (Netmap=): the mesh stays blocked.\n", out);
		return 0;
	}
	r = check_map(check, path, status, &error, &map);
	if (r < 0) {
		fprintf(err, "%s\n", error ? error : strerror(-r));
		return 1;
	}
	fprintf(out, "%s: good (generation %" PRIu64 ", %zu peer%s)\n", path, map->generation,
		map->n_peers, map->n_peers == 1 ? "" : "s");
	return 0;
}

/* ---- the options ---- */

static int print_option(FILE *out, const char *name, const char *from, const char *to)
{
	_cleanup_free_ char *clean = text_sanitize(from, SHOWN_BYTES);

	if (!clean)
		return -ENOMEM;
	fprintf(out, "  %s: %s -> %s\n", name, clean[0] ? clean : "none", to[0] ? to : "none");
	return 0;
}

/* Where Status has what the agent was started with. */
static const struct {
	const char *option, *member;
} running_options[] = {
	{ "Netmap", "mapSource" }, { "Interface", "interface" },     { "ListenPort", "listenPort" },
	{ "FwMark", "fwmark" },	   { "GatewayPort", "gatewayPort" }, { "LogLevel", "logLevel" },
};

/* In fresh memory; NULL: it is not told, or no memory. */
static char *running_value(const json_t *status, const char *member)
{
	const json_t *value = json_object_get(status, member);

	if (json_is_integer(value))
		return text_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return json_is_string(value) ? strdup(json_string_value(value)) : NULL;
}

/* Return: how many differ, -ENOMEM. */
static int print_differences(const json_t *status, const json_t *values, FILE *out)
{
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(running_options); i++) {
		const char *name = running_options[i].option;
		const char *to = json_string_value(json_object_get(values, name));
		_cleanup_free_ char *from = running_value(status, running_options[i].member);

		if (!from || !to || strcmp(from, to) == 0)
			continue;
		if (n++ == 0)
			fputs("The running agent has other options. With the next restart "
			      "(systemctl restart\npeergate-agent; sessions live on) these "
			      "change:\n",
			      out);
		if (print_option(out, name, from, to) < 0)
			return -ENOMEM;
	}
	return n;
}

static int tell_options(const struct agent_config *config, const json_t *status, FILE *out)
{
	json_auto_t *values = agent_config_values(config);
	int n;

	if (!values)
		return -ENOMEM;
	if (!status) {
		fputs("The agent is not running: there is nothing to compare with.\n", out);
		return 0;
	}
	n = print_differences(status, values, out);
	if (n == 0)
		fputs("The running agent has these options already.\n", out);
	return n < 0 ? n : 0;
}

int agent_check_run(const struct agent_check *check, FILE *out, FILE *err)
{
	_cleanup_(agent_config_freep) struct agent_config *config = NULL;
	_cleanup_free_ char *error = NULL;
	json_auto_t *status = NULL;
	int r, exit_status;

	r = agent_config_load(check->config, check->owner, check->required, &error, &config);
	if (r < 0) {
		fprintf(err, "%s\n", error ? error : strerror(-r));
		return 1;
	}
	if (access(check->config, F_OK) < 0 && errno == ENOENT)
		fprintf(out, "%s: does not exist, the defaults hold\n", check->config);
	else
		fprintf(out, "%s: good\n", check->config);
	status = ask_status(check->socket);
	exit_status = tell_map(check, config->netmap, status, out, err);
	if (tell_options(config, status, out) < 0) {
		fprintf(err, "%s\n", strerror(ENOMEM));
		return 1;
	}
	return exit_status;
}
