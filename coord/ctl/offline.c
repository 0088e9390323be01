#include "coord/ctl/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "common/text.h"
#include "common/text_stream.h"
#include "coord/registry/registry.h"
#include "coord/server/config.h"
#include "coord/store/sqlite.h"

#define LISTEN_TLS   "[::]:443"
#define LISTEN_PROXY "127.0.0.1:8080"

_printf_(3, 4) static int fail(char **reterr_text, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	*reterr_text = text_vprintf(fmt, ap);
	va_end(ap);
	return *reterr_text ? error : -ENOMEM;
}

/* ---- configuration ---- */

static void print_config(FILE *f, const struct offline_config *config)
{
	bool tls = config->certificate;

	fprintf(f,
		"# Made by \"coordctl init\"; see peergate-coord.conf(5).\n\n"
		"# How hosts and browsers reach the coordinator.\nUrl=%s\n\nListen=%s\n",
		config->url,
		config->listen ? config->listen
		: tls	       ? LISTEN_TLS
			       : LISTEN_PROXY);
	if (tls)
		fprintf(f, "Certificate=%s\nPrivateKey=%s\n", config->certificate,
			config->private_key);
	else
		fputs("# A reverse proxy on this host speaks TLS, and hands on Host, "
		      "X-Forwarded-For and\n"
		      "# X-Forwarded-Proto: peergate-coord(8).\nTrustedProxies=127.0.0.1\n",
		      f);
}

/* What would end a line would begin another setting. */
static bool is_line(const char *text)
{
	return !text || !strpbrk(text, "\r\n");
}

int offline_config_text(const struct offline_config *config, char **reterr_text, char **ret_text)
{
	_cleanup_(coord_config_freep) struct coord_config *parsed = NULL;
	_cleanup_free_ char *text = NULL;
	struct text_stream out;
	int r;

	if (!config->certificate != !config->private_key)
		return fail(reterr_text, -EINVAL,
			    "--certificate and --private-key go together, or are both left out: "
			    "then a reverse proxy on this host has to speak TLS");
	if (!is_line(config->url) || !is_line(config->listen) || !is_line(config->certificate) ||
	    !is_line(config->private_key))
		return fail(reterr_text, -EINVAL, "an option has more than one line");
	r = text_stream_open(&out);
	if (r < 0)
		return r;
	print_config(out.file, config);
	text = text_stream_close(&out);
	if (!text)
		return -ENOMEM;
	if (!coord_url_is_good(config->url))
		return fail(reterr_text, -EINVAL,
			    "--url %s: expected how agents reach the coordinator: "
			    "https://HOST[:PORT][/PATH], without a \"/\" at its end",
			    config->url);
	r = coord_config_parse(text, strlen(text), "coord.conf", reterr_text, &parsed);
	if (r == 0)
		*ret_text = take_ptr(text);
	return r;
}

/* ---- the mesh ---- */

struct setup {
	struct store *store;
	sd_event *event;
	struct registry *registry;
	int ready, done; /* 1: not yet */
	char *text;
};

static void setup_done(struct setup *setup)
{
	registry_free(setup->registry);
	sd_event_unref(setup->event);
	store_free(setup->store);
	free(setup->text);
}

static void take_text(struct setup *setup, const char *text)
{
	free(setup->text);
	setup->text = text ? strdup(text) : NULL;
}

static void on_ready(int status, const char *text, void *userdata)
{
	struct setup *setup = userdata;

	setup->ready = status;
	take_text(setup, text);
}

static void on_problem(const char *text, void *userdata)
{
	take_text(userdata, text);
}

static void on_mesh(const struct registry_result *result, void *userdata)
{
	struct setup *setup = userdata;

	setup->done = result->code == REGISTRY_OK	     ? 0
		      : result->code == REGISTRY_BAD_REQUEST ? -EINVAL
							     : -EIO;
	take_text(setup, result->text);
}

static int wait_for(struct setup *setup, const int *done)
{
	int r = 0;

	while (*done == 1 && r >= 0)
		r = sd_event_run(setup->event, UINT64_MAX);
	return r < 0 ? r : *done;
}

static int init_mesh(struct setup *setup, const char *domain)
{
	const struct registry_actor actor = { .who = "root", .from = "coordctl init" };

	registry_init_mesh(setup->registry, &actor, domain, on_mesh, setup);
	return wait_for(setup, &setup->done);
}

static int use_registry(struct setup *setup, const char *key, const char *domain,
			char **reterr_text)
{
	const struct registry_config config = { .coordinator_key = key };
	const struct mesh_record *mesh;
	int r = sd_event_new(&setup->event);

	if (r >= 0)
		r = registry_new(setup->store, setup->event, registry_clock, &config, on_ready,
				 on_problem, setup, &setup->registry);
	if (r >= 0)
		r = wait_for(setup, &setup->ready);
	mesh = r == 0 ? registry_mesh(setup->registry) : NULL;
	if (mesh && strcmp(mesh->domain, domain) != 0)
		return fail(reterr_text, -EEXIST,
			    "there is a mesh already, with the domain %s; a domain cannot be "
			    "changed, since the names of all hosts end in it",
			    mesh->domain);
	if (r == 0 && !mesh)
		r = init_mesh(setup, domain);
	return r < 0 ? fail(reterr_text, r, "%s", setup->text ? setup->text : strerror(-r)) : 0;
}

int offline_set_up(const char *state_dir, const char *domain, char **reterr_text,
		   char ret_key[ED25519_TEXT_LEN])
{
	_cleanup_free_ char *store_path = text_printf("%s/" OFFLINE_STORE, state_dir);
	_cleanup_free_ char *key_path = text_printf("%s/" OFFLINE_KEY, state_dir);
	_cleanup_(ed25519_key_freep) struct ed25519_key *key = NULL;
	_cleanup_(setup_done) struct setup setup = { .ready = 1, .done = 1 };
	int r;

	if (!store_path || !key_path)
		return -ENOMEM;
	r = store_sqlite_open(store_path, STORE_CREATE, reterr_text, &setup.store);
	if (r < 0)
		return r;
	r = ed25519_key_load_or_create(AT_FDCWD, key_path, &key, reterr_text);
	if (r < 0)
		return r;
	ed25519_public_to_string(ED25519_COORDINATOR, ed25519_key_public(key), ret_key);
	return use_registry(&setup, ret_key, domain, reterr_text);
}
