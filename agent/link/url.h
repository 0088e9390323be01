/* Where the coordinator is: its base URL. Pure. */
#pragma once

#include <stdbool.h>

#include "common/cleanup.h"

#define LINK_MAX_URL 512u

struct link_url {
	char *text;	/* "https://coord.example/prefix", no slash at its end */
	bool encrypted; /* https */
	bool loopback;	/* this very host: nobody is in between */
};

/*
 * "https://HOST[:PORT][/PATH]", or http. What could mean two things (a user, a query, a fragment,
 * escapes, dots as segments) is refused. Whether http will do is the caller's to judge.
 * Return: 0; -EINVAL and *reterr_text (the caller's); -ENOMEM.
 */
int link_url_parse(const char *text, struct link_url *ret_url, char **reterr_text);
void link_url_done(struct link_url *url);
