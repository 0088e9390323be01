#include "agent/link/wish.h"

#include <errno.h>
#include <string.h>

#include "agent/link/url.h"
#include "common/text.h"

#define AUTH_PREFIX "pgauth."
#define MAX_TAG	    128u

static int refuse(char **reterr_text, const char *fmt, ...) _printf_(2, 3);
static int refuse(char **reterr_text, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	*reterr_text = text_vprintf(fmt, ap);
	va_end(ap);
	return *reterr_text ? -EINVAL : -ENOMEM;
}

static int replace(char **text, const char *with)
{
	char *copy = with ? strdup(with) : NULL;

	if (with && !copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

/* ---- the coordinator ---- */

static int set_url(struct link_store *store, const char *text, const struct link_terms *terms,
		   char **reterr_text)
{
	_cleanup_(link_url_done) struct link_url url = { 0 };
	int r;

	r = link_url_parse(text, &url, reterr_text);
	if (r < 0)
		return r;
	if (store->url && strcmp(store->url, url.text) == 0)
		return 0;
	if (link_store_is_member(store))
		return refuse(reterr_text,
			      "this host belongs to the coordinator %s; leave it first, with "
			      "'agentctl logout'",
			      store->url);
	if (!url.encrypted && !url.loopback && !terms->plain_http)
		return refuse(
			reterr_text,
			"\"%s\" is not encrypted; expected https (http only to this very host, "
			"or with InsecureHTTP=yes in agent.conf)",
			url.text);
	/* What was pinned was another's. */
	store->have_key = false;
	return replace(&store->url, url.text);
}

static int pin(struct link_store *store, const char *text, size_t len, const char *where,
	       char **reterr_text)
{
	struct ed25519_public key;

	if (ed25519_public_parse(ED25519_COORDINATOR, text, len, &key) < 0)
		return refuse(reterr_text,
			      "%s is no coordinator's key; expected pgc: and 43 characters, as "
			      "'coordctl status' shows it",
			      where);
	if (store->have_key && !ed25519_public_equal(&key, &store->coordinator))
		return refuse(reterr_text,
			      "%s is of another coordinator than the one that this host knows as "
			      "%s; to trust the new one, run 'agentctl logout' first",
			      where, store->url);
	store->coordinator = key;
	store->have_key = true;
	return 0;
}

/* The last part, with or without its prefix. */
static int pin_of_auth_key(struct link_store *store, const char *auth_key, char **reterr_text)
{
	const char *last = strrchr(auth_key, '.') + 1;
	char text[ED25519_TEXT_LEN];
	int n;

	if (strncmp(last, ED25519_COORDINATOR, strlen(ED25519_COORDINATOR)) == 0)
		n = snprintf(text, sizeof(text), "%s", last);
	else
		n = snprintf(text, sizeof(text), ED25519_COORDINATOR "%s", last);
	return pin(store, text, n < (int)sizeof(text) ? (size_t)n : 0, "the end of the auth key",
		   reterr_text);
}

static bool is_auth_key(const char *text)
{
	size_t n_dots = 0;

	if (strncmp(text, AUTH_PREFIX, strlen(AUTH_PREFIX)) != 0 ||
	    strlen(text) > LINK_MAX_AUTH_KEY)
		return false;
	for (; *text; text++) {
		if (*text <= ' ' || *text > '~' || *text == '"')
			return false;
		n_dots += *text == '.';
	}
	return n_dots == 3;
}

static int set_auth_key(struct link_store *store, const char *auth_key,
			const struct link_terms *terms, char **reterr_text)
{
	int r;

	if (strncmp(auth_key, AUTH_PREFIX, strlen(AUTH_PREFIX)) == 0 && !is_auth_key(auth_key))
		return refuse(reterr_text,
			      "the auth key is cut off or mistyped; expected pgauth. and three "
			      "parts, as 'coordctl authkeys create' prints it");
	if (!is_auth_key(auth_key))
		return refuse(reterr_text,
			      "that is no auth key; expected pgauth. and three parts, as 'coordctl "
			      "authkeys create' prints it");
	r = pin_of_auth_key(store, auth_key, reterr_text);
	if (r < 0)
		return r;
	/* A script that enrols may run again and again: who is in has no use for it. */
	if (link_store_is_member(store) && !terms->key_expired)
		return 0;
	return replace(&store->auth_key, auth_key);
}

static int set_coordinator(struct link_store *store, const struct link_wish *wish,
			   const struct link_terms *terms, char **reterr_text)
{
	_cleanup_(link_url_done) struct link_url url = { 0 };
	const char *text = wish->url ? wish->url : store->url ? NULL : terms->default_url;
	int r = 0;

	if (text)
		r = set_url(store, text, terms, reterr_text);
	if (r == 0 && !store->url)
		return refuse(reterr_text,
			      "no coordinator is known; expected --coordinator URL, or "
			      "Coordinator= in agent.conf");
	if (r == 0 && wish->coordinator_key)
		r = pin(store, wish->coordinator_key, strlen(wish->coordinator_key),
			"--coordinator-key", reterr_text);
	if (r == 0 && wish->auth_key)
		r = set_auth_key(store, wish->auth_key, terms, reterr_text);
	if (r < 0 || store->have_key)
		return r;
	r = link_url_parse(store->url, &url, reterr_text);
	if (r == 0 && !url.encrypted && !url.loopback)
		return refuse(reterr_text,
			      "%s is not encrypted, so that its key cannot be learnt from it; "
			      "expected --coordinator-key, or an auth key",
			      store->url);
	return r;
}

/* ---- this host ---- */

static int set_hostname(struct link_store *store, const char *hostname, char **reterr_text)
{
	if (hostname[0] && !text_is_label(hostname)) {
		_cleanup_free_ char *shown = text_sanitize(hostname, 64);

		return refuse(reterr_text,
			      "\"%s\" is no host name; expected small letters, digits and hyphens, "
			      "without a domain",
			      shown ? shown : "");
	}
	return replace(&store->hostname, hostname[0] ? hostname : NULL);
}

static bool is_tag(const char *tag)
{
	if (strncmp(tag, "tag:", 4) != 0 || !tag[4] || strlen(tag) > MAX_TAG)
		return false;
	return !tag[strspn(tag,
			   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:")];
}

static int copy_tags(struct link_store *store, char *const *tags, size_t n)
{
	for (size_t i = 0; i < store->n_tags; i++)
		free(store->tags[i]);
	free(store->tags);
	store->n_tags = 0;
	store->tags = calloc(n ? n : 1, sizeof(char *));
	if (!store->tags)
		return -ENOMEM;
	for (; store->n_tags < n; store->n_tags++) {
		store->tags[store->n_tags] = strdup(tags[store->n_tags]);
		if (!store->tags[store->n_tags])
			return -ENOMEM;
	}
	return 0;
}

static bool same_tags(const struct link_store *store, const struct link_wish *wish)
{
	if (store->n_tags != wish->n_tags)
		return false;
	for (size_t i = 0; i < wish->n_tags; i++)
		if (strcmp(store->tags[i], wish->tags[i]) != 0)
			return false;
	return true;
}

static int set_tags(struct link_store *store, const struct link_wish *wish,
		    const struct link_terms *terms, char **reterr_text)
{
	if (wish->n_tags > LINK_MAX_TAGS)
		return refuse(reterr_text, "%zu tags are too many; at most %u are allowed",
			      wish->n_tags, LINK_MAX_TAGS);
	for (size_t i = 0; i < wish->n_tags; i++)
		if (!is_tag(wish->tags[i])) {
			_cleanup_free_ char *shown = text_sanitize(wish->tags[i], 64);

			return refuse(reterr_text, "\"%s\" is no tag; expected one as tag:prod",
				      shown ? shown : "");
		}
	if (same_tags(store, wish))
		return 0;
	if (link_store_is_member(store) && !terms->key_expired)
		return refuse(reterr_text,
			      "tags are given when a host enrols, which this one has; an operator "
			      "may change them with 'coordctl nodes tag %s', or run 'agentctl "
			      "logout' first",
			      store->node_name);
	return copy_tags(store, wish->tags, wish->n_tags);
}

static int set_all(struct link_store *store, const struct link_wish *wish,
		   const struct link_terms *terms, char **reterr_text)
{
	int r = set_coordinator(store, wish, terms, reterr_text);

	if (r == 0 && wish->hostname)
		r = set_hostname(store, wish->hostname, reterr_text);
	if (r == 0 && wish->set_tags)
		r = set_tags(store, wish, terms, reterr_text);
	if (r == 0 && wish->set_ssh)
		store->ssh = wish->ssh;
	return r;
}

/* Coordinator= is root's own word. */
static bool names_another(const struct link_store *now, const struct link_store *next,
			  const struct link_terms *terms)
{
	if (!now->url || strcmp(now->url, next->url) != 0)
		return !terms->default_url || strcmp(terms->default_url, next->url) != 0 ||
		       next->have_key;
	/* With a key it is another one than the first that answers. */
	return !now->have_key && next->have_key;
}

int link_wish_apply(const struct link_wish *wish, const struct link_terms *terms,
		    const struct link_store *now, struct link_store *ret_store, char **reterr_text)
{
	_cleanup_(link_store_done) struct link_store store = { 0 };
	int r;

	r = link_store_copy(now, &store);
	if (r == 0)
		r = set_all(&store, wish, terms, reterr_text);
	if (r < 0)
		return r;
	if (names_another(now, &store, terms) || (store.ssh && !now->ssh))
		r = LINK_WISH_FOR_ROOT;
	*ret_store = store;
	store = (struct link_store){ 0 };
	return r;
}
