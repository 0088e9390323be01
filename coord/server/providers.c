#include "coord/server/providers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/conf.h"
#include "common/fetch.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"
#include "coord/server/provider_config.h"
#include "peergate-config.h"

#define CONFIG_OWNER 0 /* root */
#define MAX_SECRET   1024u
#define SUFFIX	     ".conf"

struct provider {
	const struct providers *all;
	struct provider_config *config;
	struct oidc_provider *oidc;
};

struct providers {
	struct fetch *fetch;
	struct provider items[PROVIDERS_MAX];
	struct web_provider web[PROVIDERS_MAX];
	struct renewal_provider renewals[PROVIDERS_MAX];
	const struct sealer *sealer; /* NULL: no token is kept */
	size_t n;
};

/* What the pages keep until the browser is back. */
struct web_flow_state {
	struct oidc_flow flow;
};

static enum auth_strength strength_of(const struct provider *p, bool reauth)
{
	if (!reauth)
		return AUTH_NONE;
	switch (p->config->reauth) {
	case OIDC_REAUTH_MAX_AGE:
		return AUTH_MAX_AGE;
	case OIDC_REAUTH_PROMPT_ONLY:
		return AUTH_PROMPT_ONLY;
	case OIDC_REAUTH_NONE:
		break;
	}
	return AUTH_NONE;
}

/* ---- there ---- */

struct beginning {
	web_begin_fn done;
	void *userdata;
};

static void on_begun(const char *url, const struct oidc_flow *flow, const char *problem,
		     void *userdata)
{
	struct beginning *beginning = userdata;
	struct web_flow_state *kept = NULL;

	if (url) {
		kept = calloc(1, sizeof(*kept));
		if (!kept)
			problem = "out of memory";
	}
	if (!kept) {
		log_warning("A person could not be sent to sign in: %s", problem);
		beginning->done(-EIO, problem, NULL, beginning->userdata);
	} else {
		kept->flow = *flow;
		beginning->done(0, NULL, &(struct web_begun){ kept, kept->flow.state, url },
				beginning->userdata);
	}
	free(beginning);
}

static void begin(void *userdata, const struct web_begin *request, web_begin_fn done,
		  void *done_userdata)
{
	struct provider *p = userdata;
	struct beginning *beginning = calloc(1, sizeof(*beginning));
	struct oidc_call *call;
	int r = p->oidc ? -ENOMEM : -ESHUTDOWN;

	if (beginning && p->oidc) {
		*beginning = (struct beginning){ done, done_userdata };
		r = oidc_begin(p->oidc, request->reauth, request->login_hint, on_begun, beginning,
			       &call);
	}
	if (r < 0) {
		free(beginning);
		done(r,
		     r == -EBUSY ? "too many people are signing in; try again in a moment"
				 : strerror(-r),
		     NULL, done_userdata);
	}
}

/* ---- and back ---- */

struct finishing {
	struct provider *provider;
	bool reauth;
	char nonce[OIDC_SECRET_SIZE];
	web_finish_fn done;
	void *userdata;
};

/* Who cannot leave a token here may come in all the same: it is seen later that they have left. */
static char *seal(const struct finishing *f, const struct oidc_identity *identity,
		  const char *refresh_token)
{
	const struct provider *p = f->provider;
	char *sealed = NULL;
	int r;

	if (!refresh_token || !p->all->sealer)
		return NULL;
	r = renewal_seal(p->all->sealer, p->config->issuer, identity->subject, f->nonce,
			 refresh_token, &sealed);
	if (r < 0)
		log_warning("%s: a refresh token cannot be kept: %s", p->config->name,
			    strerror(-r));
	return sealed;
}

static void hand_on(struct finishing *f, const struct oidc_identity *identity,
		    const char *refresh_token)
{
	const struct provider_config *config = f->provider->config;
	_cleanup_free_ char *sealed = seal(f, identity, refresh_token);
	const struct web_identity known = {
		.issuer = config->issuer,
		.subject = identity->subject,
		.email = provider_email(config, identity),
		.name = identity->name,
		.groups = { identity->groups, identity->n_groups },
		.auth_time = identity->auth_time,
		.strength = strength_of(f->provider, f->reauth),
		.sealed = sealed,
	};
	const char *why = provider_admits(config, identity);

	if (why) {
		log_notice("%s: %s (%s) may not sign in: %s", config->name, identity->subject,
			   identity->email ? identity->email : "no address", why);
		f->done(-EPERM, why, NULL, f->userdata);
	} else {
		f->done(0, NULL, &known, f->userdata);
	}
}

static void on_finished(const struct oidc_identity *identity, const char *refresh_token,
			const char *problem, void *userdata)
{
	struct finishing *f = userdata;

	if (identity) {
		hand_on(f, identity, refresh_token);
	} else {
		log_warning("%s: a person could not sign in: %s", f->provider->config->name,
			    problem);
		f->done(-EIO, problem, NULL, f->userdata);
	}
	free(f);
}

static void flow_free(struct web_flow_state *flow)
{
	if (flow)
		explicit_bzero(flow, sizeof(*flow));
	free(flow);
}

static void finish(void *userdata, struct web_flow_state *flow, const struct web_return *back,
		   web_finish_fn done, void *done_userdata)
{
	struct provider *p = userdata;
	const struct oidc_callback callback = { back->code, back->state, back->iss, back->error };
	struct finishing *f = calloc(1, sizeof(*f));
	struct oidc_call *call;
	int r = p->oidc ? -ENOMEM : -ESHUTDOWN;

	if (f && p->oidc) {
		*f = (struct finishing){ .provider = p,
					 .reauth = flow->flow.reauth,
					 .done = done,
					 .userdata = done_userdata };
		memcpy(f->nonce, flow->flow.nonce, sizeof(f->nonce));
		r = oidc_finish(p->oidc, &flow->flow, &callback, on_finished, f, &call);
	}
	if (r < 0) {
		free(f);
		done(r,
		     r == -EBUSY ? "too many people are signing in; try again in a moment"
				 : strerror(-r),
		     NULL, done_userdata);
	}
	flow_free(flow);
}

/* ---- whether they are known still ---- */

static int refresh(void *userdata, const struct oidc_renewal *renewal, oidc_tokens_fn on_tokens,
		   oidc_refresh_fn done, void *done_userdata, struct oidc_call **ret_call)
{
	const struct provider *p = userdata;

	return p->oidc ? oidc_refresh(p->oidc, renewal, on_tokens, done, done_userdata, ret_call)
		       : -ESHUTDOWN;
}

static int give_back(void *userdata, const char *refresh_token, oidc_revoke_fn done,
		     void *done_userdata, struct oidc_call **ret_call)
{
	const struct provider *p = userdata;

	return p->oidc ? oidc_revoke(p->oidc, refresh_token, done, done_userdata, ret_call)
		       : -ESHUTDOWN;
}

static const char *still_admits(void *userdata, const struct oidc_identity *identity)
{
	return provider_still_admits(((const struct provider *)userdata)->config, identity);
}

/* ---- loading ---- */

/* Without the line's end that editors leave. Return: 0; negative errno and *reterr_text. */
static int read_secret(const struct provider_config *config, char **ret_secret, char **reterr_text)
{
	char *secret = NULL;
	size_t len;
	int r = file_read(AT_FDCWD, config->secret_file, MAX_SECRET, &secret, &len);

	if (r < 0) {
		*reterr_text = text_printf("%s: cannot be read: %s", config->secret_file,
					   file_read_problem(r));
		return *reterr_text ? r : -ENOMEM;
	}
	while (len > 0 && (secret[len - 1] == '\n' || secret[len - 1] == '\r'))
		secret[--len] = '\0';
	if (len == 0 || text_has_control(secret)) {
		explicit_bzero(secret, len);
		free(secret);
		*reterr_text = text_printf("%s: expected one line with the client's secret",
					   config->secret_file);
		return *reterr_text ? -EINVAL : -ENOMEM;
	}
	*ret_secret = secret;
	return 0;
}

static int make(struct providers *providers, struct provider *p, const char *url,
		char **reterr_text)
{
	_cleanup_free_ char *redirect = web_callback_url(url, p->config->name);
	struct provider_config *config = p->config;
	struct oidc_provider_config oidc = {
		.issuer = config->issuer,
		.client_id = config->client_id,
		.redirect_uri = redirect,
		.scopes = config->scopes,
		.groups_claim = config->groups_claim,
		.alg = config->alg,
		.reauth = config->reauth,
		.offline = config->offline,
	};
	char *secret = NULL;
	int r = redirect ? read_secret(config, &secret, reterr_text) : -ENOMEM;

	if (r < 0)
		return r;
	oidc.client_secret = secret;
	r = oidc_provider_new(providers->fetch, &oidc, reterr_text, &p->oidc);
	explicit_bzero(secret, strlen(secret));
	free(secret);
	return r;
}

static int add(struct providers *providers, const char *path, const char *file, const char *url,
	       char **reterr_text)
{
	struct provider *p = &providers->items[providers->n];
	_cleanup_free_ char *text = NULL, *name = strndup(file, strlen(file) - strlen(SUFFIX));
	size_t len;
	int r;

	if (!name)
		return -ENOMEM;
	r = conf_read_file(path, CONFIG_OWNER, &text, &len, reterr_text);
	if (r == 0)
		r = provider_config_parse(text, len, path, name, reterr_text, &p->config);
	if (r < 0)
		return r;
	p->all = providers;
	providers->n++; /* what there is of it is freed with the others */
	r = make(providers, p, url, reterr_text);
	if (r < 0)
		return r;
	providers->web[providers->n - 1] = (struct web_provider){
		.name = p->config->name,
		.title = p->config->title,
		.may_create = p->config->may_create,
		.userdata = p,
		.begin = begin,
		.finish = finish,
		.flow_free = flow_free,
	};
	providers->renewals[providers->n - 1] = (struct renewal_provider){
		.name = p->config->name,
		.issuer = p->config->issuer,
		.every_usec =
			p->config->offline == OIDC_OFFLINE_NO ? 0 : p->config->refresh_every_usec,
		.userdata = p,
		.refresh = refresh,
		.revoke = give_back,
		.still_admits = still_admits,
	};
	return 0;
}

static int is_config(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > strlen(SUFFIX) &&
	       strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) == 0;
}

static int add_all(struct providers *providers, const char *dir, struct dirent **entries, int n,
		   const char *url, char **reterr_text)
{
	int r = 0;

	if (n > (int)PROVIDERS_MAX) {
		*reterr_text =
			text_printf("%s: there are more than %u providers", dir, PROVIDERS_MAX);
		return *reterr_text ? -EINVAL : -ENOMEM;
	}
	for (int i = 0; i < n && r == 0; i++) {
		_cleanup_free_ char *path = text_printf("%s/%s", dir, entries[i]->d_name);

		r = path ? add(providers, path, entries[i]->d_name, url, reterr_text) : -ENOMEM;
	}
	return r;
}

int providers_load(sd_event *event, const char *dir, const char *url, char **reterr_text,
		   struct providers **ret)
{
	_cleanup_(providers_freep) struct providers *providers = calloc(1, sizeof(*providers));
	const struct fetch_config fetch = { .user_agent = "peergate-coord/" PEERGATE_VERSION };
	struct dirent **entries = NULL;
	int r, n;

	if (!providers)
		return -ENOMEM;
	n = scandir(dir, &entries, is_config, alphasort);
	if (n < 0 && errno != ENOENT) {
		r = -errno;
		*reterr_text = text_printf("%s: cannot be read: %s", dir, strerror(-r));
		return *reterr_text ? r : -ENOMEM;
	}
	r = n > 0 ? fetch_new(event, &fetch, &providers->fetch) : 0;
	if (r == 0)
		r = add_all(providers, dir, entries, n, url, reterr_text);
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
	if (r < 0)
		return r;
	*ret = take_ptr(providers);
	return 0;
}

void providers_stop(struct providers *providers)
{
	for (size_t i = 0; providers && i < providers->n; i++)
		providers->items[i].oidc = oidc_provider_free(providers->items[i].oidc);
}

struct providers *providers_free(struct providers *providers)
{
	if (!providers)
		return NULL;
	providers_stop(providers);
	for (size_t i = 0; i < providers->n; i++)
		provider_config_free(providers->items[i].config);
	fetch_free(providers->fetch);
	free(providers);
	return NULL;
}

const struct web_provider *providers_list(const struct providers *providers, size_t *ret_n)
{
	*ret_n = providers->n;
	return providers->web;
}

int providers_mappings(const struct providers *providers, struct registry_mapping **ret_mappings,
		       size_t *ret_n)
{
	struct registry_mapping *mappings;
	size_t n = 0;

	for (size_t i = 0; i < providers->n; i++)
		n += providers->items[i].config->mapped.n;
	mappings = calloc(n + 1, sizeof(*mappings));
	if (!mappings)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < providers->n; i++) {
		const struct provider_config *config = providers->items[i].config;

		for (size_t k = 0; k < config->mapped.n; k++)
			mappings[n++] = (struct registry_mapping){
				.issuer = config->issuer,
				.value = config->mapped.items[k].value,
				.group = config->mapped.items[k].group,
			};
	}
	*ret_mappings = mappings;
	*ret_n = n;
	return 0;
}

const struct renewal_provider *providers_renewals(const struct providers *providers, size_t *ret_n)
{
	*ret_n = providers->n;
	return providers->renewals;
}

void providers_set_sealer(struct providers *providers, const struct sealer *sealer)
{
	providers->sealer = sealer;
}
