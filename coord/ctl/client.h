/* Asking the coordinator: over its unix socket, or over the network with an API key. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

struct client;

struct client_config {
	const char *socket;   /* path; used if there is no url */
	const char *url;      /* "https://coord.example"; NULL */
	const char *key_file; /* of the API key, with url; "-": standard input */
	const char *ca_file;  /* PEM, whom to trust instead of the system's; NULL */
};
/*
 * Nothing is sent yet. Return: 0; negative errno and *reterr_text (the caller's): -EINVAL: the url
 * will not do; -ENOENT, ... of the files.
 */
int client_new(const struct client_config *config, char **reterr_text, struct client **ret_client);
struct client *client_free(struct client *client);
DEFINE_CLEANUP(struct client *, client_free);

struct client_request {
	const char *method;
	const char *path; /* "users/alice%40example.com": behind /v1/admin/, encoded */
	const char *type; /* of the body; NULL: none */
	const char *body;
	size_t len;
	const char *if_match; /* NULL */
	/* Takes parts of an answer of status 200 as they come. Return: 0; negative errno ends it.
	 */
	int (*take)(const char *data, size_t len, void *userdata);
	void *userdata;
	bool endless; /* the answer may take for ever */
};

struct client_reply {
	unsigned status;
	char *body; /* NUL-terminated; of what was not taken by take() */
	size_t len;
	char *etag; /* NULL */
};
void client_reply_done(struct client_reply *reply);

/*
 * Ask, and wait for the answer, whatever its status. Return: 0; negative errno and *reterr_text
 * (the caller's): -ENOENT, -ECONNREFUSED, -EACCES: nobody is there, or not for us; -ETIME; -EIO;
 * what take() returned, without a text; -ENOMEM.
 */
int client_ask(struct client *client, const struct client_request *request, char **reterr_text,
	       struct client_reply *ret_reply);

/* "PREFIXwordSUFFIX", the word encoded as one segment. NULL: out of memory. */
char *client_path(const char *prefix, const char *word, const char *suffix);
