#include "coord/api/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "coord/api/internal.h"

/* Machines that ask to be let in; members are config->max_machines. */
#define MAX_STRANGERS 16384u

/* Well below the minute after which proxies end what is silent. */
#define FOLLOW_KEEPALIVE_USEC (25 * USEC_PER_SEC)

/* Refused requests, and those of strangers, from one address. */
static const struct http_rate_config refusal_rate = {
	.per_second = 2,
	.burst = 60,
	.max_addresses = 16384,
};

/*
 * New keys of strangers from one address: each has a place among MAX_STRANGERS for ten minutes, so
 * that one address has at most 124 of them.
 */
static const struct http_rate_config newcomer_rate = {
	.per_second = 0.1,
	.burst = 64,
	.max_addresses = 16384,
};

/*
 * Of one member: all its requests; what it says of itself, which goes to all its peers; new node
 * keys, which do as well, and are events besides.
 */
static const struct http_rate_config request_rate = { .per_second = 2, .burst = 120 };
static const struct http_rate_config facts_rate = { .per_second = 0.1, .burst = 30 };
static const struct http_rate_config rotation_rate = { .per_second = 1.0 / 600, .burst = 10 };
/* About logins, apart: a playbook logs in a hundred times at once, and each login asks and waits.
 */
static const struct http_rate_config login_rate = { .per_second = 10, .burst = 600 };

static void on_changes(uint64_t revision, const struct registry_change *changes, size_t n_changes,
		       void *userdata)
{
	struct api *api = userdata;

	for (size_t i = 0; i < n_changes; i++) {
		if (changes[i].kind == REGISTRY_EVENT)
			api_check_count(api, changes[i].event);
		if (changes[i].kind == REGISTRY_PENDING || changes[i].kind == REGISTRY_RESET)
			waiters_wake(&api->enrolling);
		if (api_check_concerns(&changes[i]))
			waiters_wake(&api->checking);
	}
}

int api_handle_coordinator(struct http_request *req, void *userdata)
{
	const struct api *api = userdata;
	const struct mesh_record *mesh = registry_mesh(api->registry);

	if (!mesh)
		return http_respond_error(req, 503, "unavailable",
					  "there is no mesh yet; run \"coordctl init\"");
	return http_respond_json(req, 200,
				 json_pack("{s:i, s:s, s:s, s:s, s:s}", "version", PROTOCOL_VERSION,
					   "key", api->key_text, "domain", mesh->domain, "url",
					   api->url, "epoch", api->epoch_text));
}

static int open_rates(struct api *api, unsigned max_machines)
{
	const struct {
		const struct http_rate_config *config;
		struct http_rate **rate;
	} rates[] = {
		{ &request_rate, &api->requests },
		{ &login_rate, &api->logins },
		{ &facts_rate, &api->facts },
		{ &rotation_rate, &api->rotations },
	};
	int r = http_rate_new(&refusal_rate, &api->refusals);

	if (r == 0)
		r = http_rate_new(&newcomer_rate, &api->newcomers);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rates); i++) {
		struct http_rate_config config = *rates[i].config;

		config.max_addresses = max_machines;
		r = http_rate_new(&config, rates[i].rate);
	}
	return r;
}

static int set_up(struct api *api, const struct api_config *config)
{
	int r = httpsig_epoch_generate(&api->epoch);

	if (r == 0)
		r = replay_new(config->max_machines, &api->members);
	if (r == 0)
		r = replay_new(MAX_STRANGERS, &api->strangers);
	if (r == 0)
		r = open_rates(api, config->max_machines);
	if (r == 0)
		r = waiters_init(&api->enrolling, api->event, &api_enrolling);
	if (r == 0)
		r = waiters_init(&api->checking, api->event, &api_checking);
	if (r == 0)
		r = registry_subscribe(api->registry, on_changes, api, &api->changes);
	if (r < 0)
		return r;
	httpsig_epoch_to_string(&api->epoch, api->epoch_text);
	ed25519_public_to_string(ED25519_COORDINATOR, ed25519_key_public(api->key), api->key_text);
	return 0;
}

int api_new(sd_event *event, const struct api_config *config, struct api **ret_api)
{
	_cleanup_(api_freep) struct api *api = calloc(1, sizeof(*api));
	int r;

	if (!api)
		return -ENOMEM;
	api->event = event;
	api->registry = config->registry;
	api->map = config->map;
	api->store = config->store;
	api->renewals = config->renewals;
	api->key = config->key;
	api->admin_group = config->admin_group;
	api->follow_keepalive_usec = FOLLOW_KEEPALIVE_USEC;
	api->url = strdup(config->url);
	api->state_dir = strdup(config->state_dir);
	r = api->url && api->state_dir ? set_up(api, config) : -ENOMEM;
	if (r == 0)
		*ret_api = take_ptr(api);
	return r;
}

struct api *api_free(struct api *api)
{
	if (!api)
		return NULL;
	waiters_done(&api->enrolling);
	waiters_done(&api->checking);
	registry_subscription_free(api->changes);
	http_rate_free(api->refusals);
	http_rate_free(api->newcomers);
	http_rate_free(api->requests);
	http_rate_free(api->logins);
	http_rate_free(api->facts);
	http_rate_free(api->rotations);
	replay_free(api->strangers);
	replay_free(api->members);
	free(api->url);
	free(api->state_dir);
	free(api);
	return NULL;
}

void api_set_server(struct api *api, const struct http_server *server)
{
	api->server = server;
}
