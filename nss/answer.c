#include "nss/answer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* What is left of the buffer. Once something did not fit nothing does. */
struct space {
	char *at;
	size_t left;
	bool full;
};

/* The next size bytes, aligned for align (a power of two); NULL when they do not fit. */
static void *take(struct space *space, size_t size, size_t align)
{
	size_t padding = -(uintptr_t)space->at & (align - 1);
	void *taken = space->at + padding;

	if (space->full || space->left < padding || space->left - padding < size) {
		space->full = true;
		return NULL;
	}
	space->at += padding + size;
	space->left -= padding + size;
	return taken;
}

static char *take_text(struct space *space, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = take(space, size, 1);

	return copy ? memcpy(copy, text, size) : NULL;
}

/* "LABEL.DOMAIN" */
static char *take_full_name(struct space *space, const char *label, const char *domain)
{
	size_t label_len = strlen(label), domain_size = strlen(domain) + 1;
	char *name = take(space, label_len + 1 + domain_size, 1);

	if (!name)
		return NULL;
	memcpy(name, label, label_len);
	name[label_len] = '.';
	memcpy(name + label_len + 1, domain, domain_size);
	return name;
}

static size_t count_family(const struct names_host *found, int family)
{
	size_t n = 0;

	for (size_t i = 0; i < found->n_addresses; i++)
		n += found->addresses[i].family == family;
	return n;
}

/* The addresses of a family, and the list of pointers to them, which ends with NULL. */
static char **take_addresses(struct space *space, const struct names_host *found, int family)
{
	size_t n = count_family(found, family), len = family == AF_INET6 ? 16 : 4;
	char **list = take(space, (n + 1) * sizeof(*list), _Alignof(char *));
	/* People read IPv4 addresses as whole numbers. */
	char *bytes = take(space, n * len, _Alignof(uint32_t));
	size_t k = 0;

	if (!list || !bytes)
		return NULL;
	for (size_t i = 0; i < found->n_addresses; i++) {
		if (found->addresses[i].family != family)
			continue;
		list[k] = memcpy(bytes + k * len, found->addresses[i].bytes, len);
		k++;
	}
	list[k] = NULL;
	return list;
}

int answer_hostent(const struct names_host *found, const char *domain, int family, char *buffer,
		   size_t len, struct hostent *host)
{
	struct space space = { .at = buffer, .left = len };
	char **addresses, **aliases, *name, *alias;

	if (count_family(found, family) == 0)
		return ANSWER_NO_ADDRESS;
	addresses = take_addresses(&space, found, family);
	aliases = take(&space, 2 * sizeof(*aliases), _Alignof(char *));
	name = take_full_name(&space, found->label, domain);
	alias = take_text(&space, found->label);
	if (!addresses || !aliases || !name || !alias)
		return -ERANGE;
	aliases[0] = alias;
	aliases[1] = NULL;
	*host = (struct hostent){
		.h_name = name,
		.h_aliases = aliases,
		.h_addrtype = family,
		.h_length = family == AF_INET6 ? 16 : 4,
		.h_addr_list = addresses,
	};
	return 0;
}

int answer_tuples(const struct names_host *found, const char *domain, char *buffer, size_t len,
		  struct gaih_addrtuple **pat)
{
	struct space space = { .at = buffer, .left = len };
	size_t n = found->n_addresses;
	struct gaih_addrtuple *list =
		take(&space, n * sizeof(*list), _Alignof(struct gaih_addrtuple));
	char *name = take_full_name(&space, found->label, domain);

	if (!list || !name)
		return -ERANGE;
	for (size_t i = 0; i < n; i++) {
		list[i] = (struct gaih_addrtuple){
			.next = i + 1 < n ? &list[i + 1] : NULL,
			.name = name,
			.family = found->addresses[i].family,
		};
		memcpy(list[i].addr, found->addresses[i].bytes, sizeof(list[i].addr));
	}
	if (*pat)
		**pat = list[0];
	else
		*pat = list;
	return 0;
}
