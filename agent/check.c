#include "agent/check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/filter/compile.h"
#include "agent/link/url.h"
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

/* An agent that does not run, or has a map file as yet, tells of no coordinator. */
static int tell_coordinator(const json_t *status, FILE *out)
{
	const json_t *link = json_object_get(status, "link");
	const char *url = json_string_value(json_object_get(link, "coordinator"));
	_cleanup_free_ char *clean = text_sanitize(url ? url : "", LINK_MAX_URL);

	if (!clean)
		return -ENOMEM;
	if (!link)
		fputs("No Netmap=: the map comes from the coordinator that 'agentctl up' enrols "
		      "this host with.\n",
		      out);
	else if (!url || !json_is_string(json_object_get(link, "nodeId")))
		fputs("No Netmap=: the map comes from a coordinator. This host is not enrolled: "
		      "until\n'agentctl up' has done that the mesh stays blocked.\n",
		      out);
	else
		fprintf(out, "No Netmap=: the map comes from the coordinator, %s.\n", clean);
	return 0;
}

/* Return: exit status. */
static int tell_map(const struct agent_check *check, const char *path, const json_t *status,
		    FILE *out, FILE *err)
{
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	_cleanup_free_ char *error = NULL;
	int r;

	r = path ? check_map(check, path, status, &error, &map) : tell_coordinator(status, out);
	if (r < 0) {
		fprintf(err, "%s\n", error ? error : strerror(-r));
		return 1;
	}
	if (!map)
		return 0;
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

/* How the options of the running agent compare. */
struct comparison {
	unsigned n_different, n_untold;
	bool hidden; /* there is a name or password that nobody is told */
};

static int compare_option(const json_t *running, const char *name, const char *to, FILE *out,
			  struct comparison *cmp)
{
	const char *from = json_string_value(json_object_get(running, name));

	if (!from) {
		cmp->n_untold++;
		return 0;
	}
	if (strcmp(from, to) == 0) {
		cmp->hidden |= strstr(to, AGENT_CONFIG_HIDDEN) != NULL;
		return 0;
	}
	if (cmp->n_different++ == 0)
		fputs("The running agent has other options. With the next restart "
		      "(systemctl restart\npeergate-agent; sessions live on) these "
		      "change:\n",
		      out);
	return print_option(out, name, from, to);
}

static void tell_comparison(const struct comparison *cmp, FILE *out)
{
	if (cmp->n_untold > 0)
		fputs("The running agent is of another version, and does not tell all of its "
		      "options.\n",
		      out);
	else if (cmp->n_different == 0 && !cmp->hidden)
		fputs("The running agent has these options already.\n", out);
	else if (cmp->n_different == 0)
		fputs("The running agent has these options already, but for what it does not "
		      "tell: the name\nand password in Proxy=.\n",
		      out);
	else if (cmp->hidden)
		fputs("  Proxy: perhaps; name and password are not told\n", out);
}

/* Return: 0, -ENOMEM. */
static int tell_options(const struct agent_config *config, const json_t *status, FILE *out)
{
	json_auto_t *values = agent_config_values(config);
	const json_t *running = json_object_get(status, "options");
	struct comparison cmp = { 0 };
	const char *name;
	json_t *value;

	if (!values)
		return -ENOMEM;
	if (!status) {
		fputs("The agent is not running: there is nothing to compare with.\n", out);
		return 0;
	}
	json_object_foreach (values, name, value)
		if (compare_option(running, name, json_string_value(value), out, &cmp) < 0)
			return -ENOMEM;
	tell_comparison(&cmp, out);
	return 0;
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
