#include "coord/registry/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "coord/registry/model.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/*
 * Lower case, so that one person has one login; and nothing that would need escaping in a key of
 * the store, a path or a shell.
 */
const char *login_problem(const char *login)
{
	size_t local = strspn(login, LOWER DIGITS "._+-");

	if (local > 0 && login[local] == '@' && text_is_domain(login + local + 1) &&
	    strlen(login) <= RECORD_MAX_LOGIN)
		return NULL;
	return "is no login; expected one in lower case such as alice@example.com, of at most 128 "
	       "bytes";
}

/* As the policy's tagOwners wants it. */
const char *tag_problem(const char *tag)
{
	const char *name = tag + strlen("tag:");

	if (strncmp(tag, "tag:", strlen("tag:")) == 0 && isascii(*name) &&
	    isalpha((unsigned char)*name) && strlen(tag) <= RECORD_MAX_TAG) {
		while (isascii(*name) && (isalnum((unsigned char)*name) || *name == '-'))
			name++;
		if (*name == '\0')
			return NULL;
	}
	return "is no tag; expected \"tag:\", a letter, then letters, digits and hyphens, 64 bytes "
	       "in all at most";
}

const char *domain_problem(const char *domain)
{
	/* The names of nodes are put before it: "NAME.DOMAIN" has to fit as well. */
	if (text_is_domain(domain) && strchr(domain, '.') && strlen(domain) <= 253 - LABEL_SIZE)
		return NULL;
	return "is no domain for a mesh; expected two lower-case labels or more, such as "
	       "mesh.example, of at most 189 bytes";
}

const char *label_problem(const char *label)
{
	/* Its host key would stand for whatever listens on the user's own loopback. */
	if (text_is_label(label) && strcmp(label, "localhost") != 0)
		return NULL;
	return "is no name for a node; expected one label of a-z 0-9 and inner '-', of at most 63 "
	       "bytes, other than \"localhost\"";
}

/*
 * Programs look these up by themselves, as single labels in whatever domain the host searches, and
 * do as is said there: the proxy that all web traffic goes through, the router of a tunnel. Name
 * servers leave them out for the same reason (the global query block list).
 */
bool label_is_reserved(const char *label)
{
	static const char *const reserved[] = { "wpad", "isatap" };

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (strcmp(label, reserved[i]) == 0)
			return true;
	return false;
}

const char *text_problem(const char *text, size_t max)
{
	if (*text == '\0')
		return "is empty; leave it out instead";
	if (strlen(text) > max)
		return "is too long";
	if (!text_is_utf8(text))
		return "is no UTF-8";
	if (text_has_control(text))
		return "holds a control character; none is allowed";
	return NULL;
}

/* A field of shadow(5) holds it, so it has no ':'; '!' and '*' there mean that it is locked. */
const char *crypt_problem(const char *hash)
{
	size_t n = 0;

	while (hash[n] > ' ' && hash[n] <= '~' && !strchr(":;*!\\", hash[n]))
		n++;
	return hash[0] == '$' && hash[n] == '\0' && n <= RECORD_MAX_CRYPT
		       ? NULL
		       : "is no hash of a password, as crypt(5) has it";
}

const char *totp_problem(const char *secret)
{
	return strspn(secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == 32 && strlen(secret) == 32
		       ? NULL
		       : "is no secret for codes; expected 32 characters of base32";
}

/* Without hyphens at either end, and no longer than max. Return: its length. */
static size_t plain_label(const char *hostname, size_t max, char *buf)
{
	size_t n = 0;

	for (; *hostname && *hostname != '.' && n < max; hostname++) {
		unsigned char c = (unsigned char)*hostname;

		if (isascii(c) && isalnum(c))
			buf[n++] = (char)tolower(c);
		else if (n > 0 && buf[n - 1] != '-')
			buf[n++] = '-';
	}
	while (n > 0 && buf[n - 1] == '-')
		n--;
	buf[n] = '\0';
	return n;
}

char *label_from_hostname(const char *hostname, unsigned suffix, char *buf)
{
	char number[12] = "";
	size_t n;

	if (suffix > 0)
		snprintf(number, sizeof(number), "-%u", suffix);
	n = plain_label(hostname, LABEL_SIZE - 1 - strlen(number), buf);
	if (n == 0 || strcmp(buf, "localhost") == 0)
		n = (size_t)(stpcpy(buf, "host") - buf);
	strcpy(buf + n, number);
	return buf;
}
