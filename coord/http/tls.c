/* Certificates of a TLS listener, which can be exchanged while it serves. */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/text.h"
#include "coord/http/internal.h"

#define MAX_PEM	  (64u << 10)
#define MAX_CHAIN 8u
/* A handshake that has begun may use a pair that is not in force any more; none lasts this long. */
#define RETIRED_USEC (600 * USEC_PER_SEC)

struct pair {
	struct pair *older;
	uint64_t retired; /* CLOCK_MONOTONIC */
	gnutls_pcert_st chain[MAX_CHAIN];
	unsigned n_chain;
	gnutls_privkey_t key;
};

struct http_tls {
	char *cert_path, *key_path;
	struct pair *current;
	struct pair *retired;  /* the youngest first */
	struct pair *prepared; /* read, not in force yet */
};

/*
 * libmicrohttpd tells the callback nothing of ours, and calls it only from within MHD_run(), by
 * whose caller this is set.
 */
static _Thread_local struct http_tls *entered;

void http_tls_enter(struct http_tls *tls)
{
	entered = tls;
}

static int retrieve(gnutls_session_t session, const gnutls_datum_t *req_ca_rdn, int nreqs,
		    const gnutls_pk_algorithm_t *pk_algos, int pk_algos_length,
		    gnutls_pcert_st **pcert, unsigned *pcert_length, gnutls_privkey_t *privkey)
{
	if (!entered)
		return -1;
	*pcert = entered->current->chain;
	*pcert_length = entered->current->n_chain;
	*privkey = entered->current->key;
	return 0;
}

void *http_tls_callback(void)
{
	return (void *)retrieve;
}

static struct pair *pair_free(struct pair *pair)
{
	if (!pair)
		return NULL;
	for (unsigned i = 0; i < pair->n_chain; i++)
		gnutls_pcert_deinit(&pair->chain[i]);
	if (pair->key)
		gnutls_privkey_deinit(pair->key);
	free(pair);
	return NULL;
}
DEFINE_CLEANUP(struct pair *, pair_free);

static int fail(char **reterr_text, int error, const char *path, const char *what)
{
	*reterr_text = text_printf("%s: %s", path, what);
	return error;
}

static int fail_gnutls(char **reterr_text, const char *path, const char *what, int error)
{
	*reterr_text = text_printf("%s: %s: %s", path, what, gnutls_strerror(error));
	return error == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL;
}

static int read_chain(struct pair *pair, const char *path, char **reterr_text)
{
	_cleanup_free_ char *text = NULL;
	unsigned n = MAX_CHAIN;
	size_t len;
	int r;

	r = file_read(AT_FDCWD, path, MAX_PEM, &text, &len);
	if (r < 0)
		return fail(reterr_text, r, path, strerror(-r));
	r = gnutls_pcert_list_import_x509_raw(
		pair->chain, &n, &(gnutls_datum_t){ (unsigned char *)text, (unsigned)len },
		GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_SORT);
	if (r < 0)
		return fail_gnutls(reterr_text, path, "no chain of certificates in PEM form", r);
	pair->n_chain = n;
	return 0;
}

static int read_key(struct pair *pair, const char *path, char **reterr_text)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = file_read(AT_FDCWD, path, MAX_PEM, &text, &len);
	if (r < 0)
		return fail(reterr_text, r, path, strerror(-r));
	r = gnutls_privkey_init(&pair->key);
	if (r >= 0)
		r = gnutls_privkey_import_x509_raw(
			pair->key, &(gnutls_datum_t){ (unsigned char *)text, (unsigned)len },
			GNUTLS_X509_FMT_PEM, NULL, 0);
	explicit_bzero(text, len);
	if (r < 0)
		return fail_gnutls(reterr_text, path, "no private key in PEM form", r);
	return 0;
}

/* Return: 1: the key is the certificate's, 0: it is not, GnuTLS error. */
static int key_fits(const struct pair *pair)
{
	unsigned char of_cert[64], of_key[64];
	size_t cert_len = sizeof(of_cert), key_len = sizeof(of_key);
	gnutls_pubkey_t pubkey;
	int r;

	r = gnutls_pubkey_init(&pubkey);
	if (r < 0)
		return r;
	r = gnutls_pubkey_import_privkey(pubkey, pair->key, 0, 0);
	if (r >= 0)
		r = gnutls_pubkey_get_key_id(pubkey, GNUTLS_KEYID_USE_SHA256, of_key, &key_len);
	if (r >= 0)
		r = gnutls_pubkey_get_key_id(pair->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256,
					     of_cert, &cert_len);
	gnutls_pubkey_deinit(pubkey);
	if (r < 0)
		return r;
	return cert_len == key_len && memcmp(of_cert, of_key, key_len) == 0;
}

int http_tls_prepare(struct http_tls *tls, char **reterr_text)
{
	_cleanup_(pair_freep) struct pair *pair = calloc(1, sizeof(*pair));
	int r;

	if (!pair)
		return -ENOMEM;
	r = read_chain(pair, tls->cert_path, reterr_text);
	if (r < 0)
		return r;
	r = read_key(pair, tls->key_path, reterr_text);
	if (r < 0)
		return r;
	r = key_fits(pair);
	if (r < 0)
		return fail_gnutls(reterr_text, tls->key_path, "key of an unknown kind", r);
	if (r == 0)
		return fail(reterr_text, -EINVAL, tls->key_path, "is not the certificate's key");
	http_tls_rollback(tls);
	tls->prepared = take_ptr(pair);
	return 0;
}

static void free_retired(struct pair **list, uint64_t before)
{
	while (*list && (*list)->retired >= before)
		list = &(*list)->older;
	while (*list) {
		struct pair *pair = *list;

		*list = pair->older;
		pair_free(pair);
	}
}

void http_tls_commit(struct http_tls *tls)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC);

	if (!tls->prepared)
		return;
	free_retired(&tls->retired, now > RETIRED_USEC ? now - RETIRED_USEC : 0);
	if (tls->current) {
		tls->current->retired = now;
		tls->current->older = tls->retired;
		tls->retired = tls->current;
	}
	tls->current = take_ptr(tls->prepared);
}

void http_tls_rollback(struct http_tls *tls)
{
	tls->prepared = pair_free(tls->prepared);
}

int http_tls_new(const struct http_tls_files *files, struct http_tls **ret_tls, char **reterr_text)
{
	_cleanup_(http_tls_freep) struct http_tls *tls = calloc(1, sizeof(*tls));
	int r;

	if (!tls)
		return -ENOMEM;
	tls->cert_path = strdup(files->cert);
	tls->key_path = strdup(files->key);
	if (!tls->cert_path || !tls->key_path)
		return -ENOMEM;
	r = http_tls_prepare(tls, reterr_text);
	if (r < 0)
		return r;
	http_tls_commit(tls);
	*ret_tls = take_ptr(tls);
	return 0;
}

struct http_tls *http_tls_free(struct http_tls *tls)
{
	if (!tls)
		return NULL;
	free_retired(&tls->retired, UINT64_MAX);
	http_tls_rollback(tls);
	pair_free(tls->current);
	free(tls->cert_path);
	free(tls->key_path);
	free(tls);
	return NULL;
}
