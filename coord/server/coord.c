#include "coord/server/coord.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "common/ed25519.h"
#include "common/log.h"
#include "common/text.h"
#include "coord/api/api.h"
#include "coord/server/listeners.h"
#include "coord/server/memory.h"
#include "coord/server/providers.h"
#include "coord/store/sqlite.h"
#include "coord/web/web.h"

#define STOP_USEC (5 * UINT64_C(1000000))

struct coord {
	sd_event *event;
	const struct coord_config *config;
	char *admin_path, *store_path, *key_path;
	struct ed25519_key *key;
	struct store *store;
	struct registry *registry;
	struct map *map;
	struct api *api;
	struct verifier *verifier;
	struct providers *providers;
	struct sealer *sealer;
	struct renewals *renewals;
	struct web *web;
	struct http_route *routes; /* the api's, then the pages' */
	struct http_server *server;
	sd_event_source *memory;
	int ready; /* of the registry: 1: not told yet */
	char *problem;
};

static int fail(char **reterr_text, int error, const char *what)
{
	*reterr_text = text_printf("%s: %s", what, strerror(-error));
	return *reterr_text ? error : -ENOMEM;
}

static int open_files(struct coord *coord, const struct coord_paths *paths, char **reterr_text)
{
	int r;

	coord->admin_path = text_printf("%s/admin.sock", paths->runtime_dir);
	coord->store_path = text_printf("%s/coord.db", paths->state_dir);
	coord->key_path = text_printf("%s/coordinator.key", paths->state_dir);
	if (!coord->admin_path || !coord->store_path || !coord->key_path)
		return -ENOMEM;
	/* The store first: without one, a new key would only add to the confusion. */
	r = store_sqlite_open(coord->store_path, 0, reterr_text, &coord->store);
	if (r == 0)
		r = ed25519_key_load_or_create(AT_FDCWD, coord->key_path, &coord->key, reterr_text);
	if (r == ED25519_CREATED)
		log_warning("%s: there was none: made a new key. Hosts that were enrolled with "
			    "another one have to enrol anew",
			    coord->key_path);
	return r < 0 ? r : 0;
}

/* ---- registry ---- */

static void on_ready(int status, const char *text, void *userdata)
{
	struct coord *coord = userdata;

	coord->ready = status;
	if (status < 0 && text)
		coord->problem = strdup(text);
}

static void on_problem(const char *text, void *userdata)
{
	log_warning("%s", text);
}

/* The embedded store answers at once; one that does not is waited for. */
static int wait_ready(struct coord *coord)
{
	int r = 0;

	while (coord->ready == 1 && r >= 0)
		r = sd_event_run(coord->event, UINT64_MAX);
	return r < 0 ? r : coord->ready;
}

static int open_registry(struct coord *coord, char **reterr_text)
{
	_cleanup_free_ struct registry_mapping *mappings = NULL;
	char key[ED25519_TEXT_LEN];
	struct registry_config config = {
		.coordinator_key = ed25519_public_to_string(ED25519_COORDINATOR,
							    ed25519_key_public(coord->key), key),
		.key_lifetime_usec = coord->config->key_lifetime_usec,
		.event_lifetime_usec = coord->config->event_lifetime_usec,
		.max_pending_from = (unsigned)coord->config->max_pending,
	};
	int r;

	r = providers_mappings(coord->providers, &mappings, &config.n_mappings);
	if (r < 0)
		return r;
	config.mappings = mappings;
	coord->ready = 1;
	r = registry_new(coord->store, coord->event, registry_clock, &config, on_ready, on_problem,
			 coord, &coord->registry);
	if (r == 0)
		r = wait_ready(coord);
	if (r == 0)
		return 0;
	if (!coord->problem)
		return fail(reterr_text, r, "the store's entries cannot be read");
	*reterr_text = take_ptr(coord->problem);
	return r;
}

/* ---- serving ---- */

static gid_t find_group(const char *name)
{
	const struct group *group = getgrnam(name);

	return group ? group->gr_gid : (gid_t)-1;
}

static int open_api(struct coord *coord, const struct coord_paths *paths, char **reterr_text)
{
	const struct map_config map_config = {
		.key = coord->key,
		.max_streams = (unsigned)coord->config->max_nodes,
		.problem = on_problem,
	};
	struct api_config config = {
		.registry = coord->registry,
		.store = coord->store,
		.renewals = coord->renewals,
		.key = coord->key,
		.url = coord->config->url,
		.state_dir = paths->state_dir,
		.max_machines = 2 * (unsigned)coord->config->max_nodes,
		.admin_group = find_group(coord->config->admin_group),
	};
	int r;

	r = map_new(coord->event, coord->registry, coord->store, &map_config, &coord->map);
	if (r < 0)
		return fail(reterr_text, r, "maps");
	config.map = coord->map;
	r = api_new(coord->event, &config, &coord->api);
	return r < 0 ? fail(reterr_text, r, "API") : 0;
}

static int open_renewals(struct coord *coord, char **reterr_text)
{
	struct renewals_config config = { .registry = coord->registry, .problem = on_problem };
	int r;

	r = sealer_new(coord->key, &coord->sealer);
	if (r < 0)
		return fail(reterr_text, r, "sealing");
	providers_set_sealer(coord->providers, coord->sealer);
	config.sealer = coord->sealer;
	config.providers = providers_renewals(coord->providers, &config.n_providers);
	r = renewals_new(coord->event, &config, &coord->renewals);
	return r < 0 ? fail(reterr_text, r, "refresh tokens") : 0;
}

static bool is_waited_for(const char *check, void *userdata)
{
	return api_check_is_waited_for(userdata, check);
}

static int open_web(struct coord *coord, char **reterr_text)
{
	struct web_config config = {
		.registry = coord->registry,
		.map = coord->map,
		.renewals = coord->renewals,
		.url = coord->config->url,
		.is_waited_for = is_waited_for,
		.check_userdata = coord->api,
	};
	int r = verifier_new(coord->event, coord->registry, &coord->verifier);

	config.verifier = coord->verifier;
	if (r < 0)
		return fail(reterr_text, r, "passwords");
	config.providers = providers_list(coord->providers, &config.n_providers);
	r = web_new(&config, &coord->web);
	return r < 0 ? fail(reterr_text, r, "pages") : 0;
}

static int join_routes(struct coord *coord, struct http_config *config)
{
	struct http_route_table tables[] = { { .userdata = coord->api },
					     { .userdata = coord->web } };
	int r;

	tables[0].routes = api_routes(&tables[0].n_routes);
	tables[1].routes = web_routes(&tables[1].n_routes);
	r = http_routes_join(tables, ARRAY_SIZE(tables), &coord->routes, &config->n_routes);
	config->routes = coord->routes;
	config->fallback = web_fallback(coord->web);
	return r;
}

static int serve(struct coord *coord, char **reterr_text)
{
	struct http_config config = {
		.trusted_proxies = coord->config->trusted,
		.n_trusted_proxies = coord->config->n_trusted,
		.authority = coord->config->authority,
	};
	int r;

	http_limits_default(&config.limits);
	/* Requests come besides the streams. */
	config.limits.max_connections = (unsigned)coord->config->max_nodes + 1024;
	config.limits.max_connections_per_address = (unsigned)coord->config->max_connections;
	config.limits.stream_bytes = 1 << 20;
	r = join_routes(coord, &config);
	if (r == 0)
		r = http_server_new(coord->event, &config, &coord->server);
	if (r < 0)
		return fail(reterr_text, r, "HTTP server");
	api_set_server(coord->api, coord->server);
	return listeners_open(coord->server, coord->config, coord->admin_path, reterr_text);
}

int coord_new(sd_event *event, const struct coord_config *config, const struct coord_paths *paths,
	      char **reterr_text, struct coord **ret_coord)
{
	_cleanup_(coord_freep) struct coord *coord = calloc(1, sizeof(*coord));
	int r;

	if (!coord)
		return -ENOMEM;
	coord->event = sd_event_ref(event);
	coord->config = config;
	r = open_files(coord, paths, reterr_text);
	if (r == 0)
		r = providers_load(event, paths->providers_dir, config->url, reterr_text,
				   &coord->providers);
	if (r == 0)
		r = open_registry(coord, reterr_text);
	if (r == 0)
		r = open_renewals(coord, reterr_text);
	if (r == 0)
		r = open_api(coord, paths, reterr_text);
	if (r == 0)
		r = open_web(coord, reterr_text);
	if (r == 0)
		r = serve(coord, reterr_text);
	if (r == 0)
		r = memory_give_back(event, &coord->memory);
	if (r == 0)
		*ret_coord = take_ptr(coord);
	return r;
}

struct coord *coord_free(struct coord *coord)
{
	if (!coord)
		return NULL;
	if (coord->api)
		api_set_server(coord->api, NULL);
	renewals_stop(coord->renewals);
	providers_stop(coord->providers);
	sd_event_source_disable_unref(coord->memory);
	http_server_free(coord->server);
	api_free(coord->api);
	verifier_free(coord->verifier);
	map_free(coord->map);
	registry_free(coord->registry);
	renewals_free(coord->renewals);
	web_free(coord->web);
	providers_free(coord->providers);
	sealer_free(coord->sealer);
	free(coord->routes);
	store_free(coord->store);
	ed25519_key_free(coord->key);
	sd_event_unref(coord->event);
	free(coord->problem);
	free(coord->admin_path);
	free(coord->store_path);
	free(coord->key_path);
	free(coord);
	return NULL;
}

void coord_reload(struct coord *coord)
{
	_cleanup_free_ char *error = NULL;
	int r = http_server_reload_tls(coord->server, &error);

	if (r < 0)
		log_error("Certificates not exchanged, those in use stay: %s",
			  error ? error : strerror(-r));
	else
		log_notice("Certificates read anew");
}

static void on_stopped(void *userdata)
{
	struct coord *coord = userdata;

	sd_event_exit(coord->event, 0);
}

void coord_stop(struct coord *coord)
{
	int r;

	map_stop(coord->map);
	r = http_server_stop(coord->server, STOP_USEC, on_stopped, coord);
	if (r < 0 && r != -EALREADY)
		sd_event_exit(coord->event, 0);
}
