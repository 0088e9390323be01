/*
 * What was found, laid out in the buffer of whoever asked. Pure: nothing is written outside of the
 * buffer, and nothing to *host or *pat unless all of it fits.
 */
#pragma once

#include <netdb.h>
#include <nss.h>
#include <stddef.h>

#include "common/names.h"

enum {
	ANSWER_NO_ADDRESS = 1, /* the host has none of this family */
};

/* As struct hostent: official name LABEL.DOMAIN, alias LABEL. Return: 0, ANSWER_NO_ADDRESS,
 * -ERANGE. */
int answer_hostent(const struct names_host *found, const char *domain, int family, char *buffer,
		   size_t len, struct hostent *host);

/*
 * As the list of getaddrinfo(3), all addresses in their order. *pat is where the list begins; if it
 * is not NULL on entry, the first element is copied to where it points, as glibc wants it.
 * Return: 0, -ERANGE.
 */
int answer_tuples(const struct names_host *found, const char *domain, char *buffer, size_t len,
		  struct gaih_addrtuple **pat);
