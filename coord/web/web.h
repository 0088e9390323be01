/*
 * The pages of the coordinator (coord/PROTOCOL.md, "Pages"): people sign in, confirm devices,
 * answer checks, see what is theirs; those who look after the mesh see nodes, policy and events.
 * HTML that is made here, without scripts. Between HTTP (coord/http/http.h) on one side, and the
 * registry on the other.
 */
#pragma once

#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "coord/accounts/verify.h"
#include "coord/http/http.h"
#include "coord/map/map.h"
#include "coord/registry/registry.h"
#include "coord/renewal/renewals.h"
#include "coord/web/provider.h"

struct web;

/* All of it is borrowed and outlives the pages, but for the url, which is copied. */
struct web_config {
	struct registry *registry; /* ready */
	struct map *map;
	struct verifier *verifier;
	const struct renewals *renewals; /* NULL: nobody is asked about */
	const char *url;		 /* how browsers reach the coordinator; no "/" at its end */
	const struct web_provider *providers;
	size_t n_providers;
	/* Does a host wait for the answer to this check right now? */
	bool (*is_waited_for)(const char *check, void *userdata);
	void *check_userdata;
};

/* Return: 0, -ENOMEM, -EIO, negative errno of getrandom(2). */
int web_new(const struct web_config *config, struct web **ret_web);
/*
 * After the HTTP server, the verifier and the registry, whose answers to requests that are still
 * under way come here.
 */
struct web *web_free(struct web *web);
DEFINE_CLEANUP(struct web *, web_free);

/* The routes; their handlers expect the pages as userdata. */
const struct http_route *web_routes(size_t *ret_n);
/* For http_config.fallback: browsers are told by a page, programs by JSON. Part of web. */
const struct http_route *web_fallback(const struct web *web);
