/*
 * The module's entry points: they open the names file, ask it, and lay the answer out. Nothing is
 * kept from one call to the next, so threads, forked children and chroots are nothing special.
 */
#include "nss/module.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "common/names.h"
#include "nss/answer.h"

#define EXPORT __attribute__((visibility("default")))

/* What the caller wants to have around, and told. */
struct call {
	int *errnop, *h_errnop;
	int saved_errno;
	int cancel_state;
};

static struct call begin(int *errnop, int *h_errnop)
{
	struct call call = { .errnop = errnop, .h_errnop = h_errnop, .saved_errno = errno };

	/* A thread that is cancelled while it has the file open would leave it open. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &call.cancel_state);
	return call;
}

static enum nss_status finish(const struct call *call, enum nss_status status, int error,
			      int h_error)
{
	errno = call->saved_errno;
	/* errnop is errno's own address, often: after the above. */
	if (status != NSS_STATUS_SUCCESS)
		*call->errnop = error;
	*call->h_errnop = h_error;
	pthread_setcancelstate(call->cancel_state, NULL);
	return status;
}

/*
 * What to say of a name that we cannot answer for. We are asked last: when DNS could not be
 * reached, its "try again" stands, and when it knows the name without addresses, that does. Our "no
 * such host" would make programs give up that would have asked again.
 */
static int earlier_answer(const struct call *call)
{
	switch (*call->h_errnop) {
	case TRY_AGAIN:
	case NO_RECOVERY:
	case NO_DATA:
		return *call->h_errnop;
	default:
		return HOST_NOT_FOUND;
	}
}

/* r: negative errno, or positive where the mesh has no such name. */
static enum nss_status finish_without(const struct call *call, int r)
{
	switch (r) {
	case -ERANGE:
		return finish(call, NSS_STATUS_TRYAGAIN, ERANGE, NETDB_INTERNAL);
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
		return finish(call, NSS_STATUS_TRYAGAIN, -r, TRY_AGAIN);
	default:
		break;
	}
	if (r < 0)
		return finish(call, NSS_STATUS_UNAVAIL, -r, earlier_answer(call));
	return finish(call, NSS_STATUS_NOTFOUND, ENOENT, earlier_answer(call));
}

/* The host of this name, and the mesh's domain. Return: like names_find(). */
static int find_name(const char *name, struct names_host *ret_host,
		     char ret_domain[NAMES_MAX_DOMAIN + 1])
{
	char label[NAMES_MAX_LABEL + 1];
	struct names names;
	int r;

	r = names_open(nss_names_dir(), &names);
	if (r < 0)
		return r;
	r = names_label(&names, name, label);
	if (r == 0)
		r = names_find(&names, label, ret_host);
	names_close(&names);
	if (r == 0)
		strcpy(ret_domain, names.domain);
	return r;
}

EXPORT enum nss_status _nss_peergate_gethostbyname4_r(const char *name, struct gaih_addrtuple **pat,
						      char *buffer, size_t buflen, int *errnop,
						      int *h_errnop, int32_t *ttlp)
{
	struct call call = begin(errnop, h_errnop);
	char domain[NAMES_MAX_DOMAIN + 1];
	struct names_host host;
	int r;

	r = find_name(name, &host, domain);
	if (r == 0)
		r = answer_tuples(&host, domain, buffer, buflen, pat);
	if (r != 0)
		return finish_without(&call, r);
	if (ttlp)
		*ttlp = 0;
	return finish(&call, NSS_STATUS_SUCCESS, 0, NETDB_SUCCESS);
}

EXPORT enum nss_status _nss_peergate_gethostbyname3_r(const char *name, int af,
						      struct hostent *host, char *buffer,
						      size_t buflen, int *errnop, int *h_errnop,
						      int32_t *ttlp, char **canonp)
{
	struct call call = begin(errnop, h_errnop);
	char domain[NAMES_MAX_DOMAIN + 1];
	struct names_host found;
	int r;

	if (af != AF_INET && af != AF_INET6)
		return finish_without(&call, -EAFNOSUPPORT);
	r = find_name(name, &found, domain);
	if (r == 0)
		r = answer_hostent(&found, domain, af, buffer, buflen, host);
	else if (r > 0)
		return finish_without(&call, r);
	/* Of this name we know that the others are no use. */
	if (r == ANSWER_NO_ADDRESS)
		return finish(&call, NSS_STATUS_NOTFOUND, ENOENT, NO_DATA);
	if (r < 0)
		return finish_without(&call, r);
	if (ttlp)
		*ttlp = 0;
	if (canonp)
		*canonp = host->h_name;
	return finish(&call, NSS_STATUS_SUCCESS, 0, NETDB_SUCCESS);
}

EXPORT enum nss_status _nss_peergate_gethostbyname2_r(const char *name, int af,
						      struct hostent *host, char *buffer,
						      size_t buflen, int *errnop, int *h_errnop)
{
	return _nss_peergate_gethostbyname3_r(name, af, host, buffer, buflen, errnop, h_errnop,
					      NULL, NULL);
}

EXPORT enum nss_status _nss_peergate_gethostbyname_r(const char *name, struct hostent *host,
						     char *buffer, size_t buflen, int *errnop,
						     int *h_errnop)
{
	return _nss_peergate_gethostbyname3_r(name, AF_INET, host, buffer, buflen, errnop, h_errnop,
					      NULL, NULL);
}

/* The address asked for, as it is asked for: what the caller gets back as the host's only one. */
static int take_address(const void *bytes, socklen_t len, int af, struct ip_addr *ret_addr)
{
	socklen_t expected = af == AF_INET6 ? 16 : 4;

	if (af != AF_INET && af != AF_INET6)
		return -EAFNOSUPPORT;
	if (len < expected)
		return -EINVAL;
	*ret_addr = (struct ip_addr){ .family = (sa_family_t)af };
	memcpy(ret_addr->bytes, bytes, expected);
	return 0;
}

/* Sockets of both families show IPv4 peers in this form; the mesh knows them by the plain one. */
static struct ip_addr without_mapping(const struct ip_addr *addr)
{
	static const uint8_t head[12] = { [10] = 0xff, [11] = 0xff };
	struct ip_addr plain = { .family = AF_INET };

	if (addr->family != AF_INET6 || memcmp(addr->bytes, head, sizeof(head)) != 0)
		return *addr;
	memcpy(plain.bytes, addr->bytes + sizeof(head), 4);
	return plain;
}

static int find_address(const struct ip_addr *addr, struct names_host *ret_host,
			char ret_domain[NAMES_MAX_DOMAIN + 1])
{
	struct names_host host = { .addresses = { *addr }, .n_addresses = 1 };
	struct ip_addr plain = without_mapping(addr);
	struct names names;
	int r;

	r = names_open(nss_names_dir(), &names);
	if (r < 0)
		return r;
	r = names_find_address(&names, &plain, host.label);
	names_close(&names);
	if (r != 0)
		return r;
	*ret_host = host;
	strcpy(ret_domain, names.domain);
	return 0;
}

EXPORT enum nss_status _nss_peergate_gethostbyaddr2_r(const void *addr, socklen_t len, int af,
						      struct hostent *host, char *buffer,
						      size_t buflen, int *errnop, int *h_errnop,
						      int32_t *ttlp)
{
	struct call call = begin(errnop, h_errnop);
	char domain[NAMES_MAX_DOMAIN + 1];
	struct names_host found;
	struct ip_addr asked;
	int r;

	r = take_address(addr, len, af, &asked);
	if (r == 0)
		r = find_address(&asked, &found, domain);
	if (r == 0)
		r = answer_hostent(&found, domain, af, buffer, buflen, host);
	if (r != 0)
		return finish_without(&call, r);
	if (ttlp)
		*ttlp = 0;
	return finish(&call, NSS_STATUS_SUCCESS, 0, NETDB_SUCCESS);
}

EXPORT enum nss_status _nss_peergate_gethostbyaddr_r(const void *addr, socklen_t len, int af,
						     struct hostent *host, char *buffer,
						     size_t buflen, int *errnop, int *h_errnop)
{
	return _nss_peergate_gethostbyaddr2_r(addr, len, af, host, buffer, buflen, errnop, h_errnop,
					      NULL);
}
