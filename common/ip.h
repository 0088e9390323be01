/* IPv4 and IPv6 addresses, prefixes and endpoints, as values. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct ip_addr {
	sa_family_t family; /* AF_INET, AF_INET6; AF_UNSPEC: no address */
	uint8_t bytes[16];  /* network order; IPv4 uses the first 4, the rest is zero */
};

struct ip_prefix {
	struct ip_addr addr; /* host bits are zero */
	uint8_t len;	     /* bits, 0..32 or 0..128 */
};

struct ip_endpoint {
	struct ip_addr addr;
	uint16_t port; /* host order */
};

/* Buffer sizes for the _to_string functions, the final NUL included. */
#define IP_ADDR_STRLEN	   46
#define IP_PREFIX_STRLEN   50
#define IP_ENDPOINT_STRLEN 54

/* Length of an address in bytes (4, 16; 0 for AF_UNSPEC) and in bits. */
size_t ip_addr_len(const struct ip_addr *a);
unsigned ip_addr_bits(const struct ip_addr *a);

/*
 * Parse the canonical or any other textual form that inet_pton() takes. No zone, no
 * IPv4-mapped IPv6 (one host must not have two names).
 * Return: 0, -EINVAL. *ret_addr is untouched on failure.
 */
int ip_addr_parse(const char *text, struct ip_addr *ret_addr);

/* "ADDR/LEN", or "ADDR" for a host prefix. Host bits that are set give -EINVAL. */
int ip_prefix_parse(const char *text, struct ip_prefix *ret_prefix);

/* "v4:port" or "[v6]:port", port 1..65535. Return: 0, -EINVAL. */
int ip_endpoint_parse(const char *text, struct ip_endpoint *ret_ep);

/* Each writes into buf (of the size above) and returns buf. */
char *ip_addr_to_string(const struct ip_addr *a, char *buf);
char *ip_prefix_to_string(const struct ip_prefix *p, char *buf);
char *ip_endpoint_to_string(const struct ip_endpoint *ep, char *buf);

/* Total order: family, then bytes, then length. */
int ip_addr_compare(const struct ip_addr *a, const struct ip_addr *b);
int ip_prefix_compare(const struct ip_prefix *a, const struct ip_prefix *b);
bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b);
bool ip_endpoint_equal(const struct ip_endpoint *a, const struct ip_endpoint *b);

/* Unspecified, loopback, multicast, link-local, broadcast: never a host's mesh address. */
bool ip_addr_is_special(const struct ip_addr *a);

bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a);
bool ip_prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b);
/* The prefix that holds just this address. */
struct ip_prefix ip_prefix_host(const struct ip_addr *a);
/* First and last address of the prefix. */
struct ip_addr ip_prefix_first(const struct ip_prefix *p);
struct ip_addr ip_prefix_last(const struct ip_prefix *p);

/*
 * Socket addresses. IPv4-mapped IPv6 becomes IPv4. Return: 0, -EAFNOSUPPORT.
 */
int ip_endpoint_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct ip_endpoint *ret_ep);
/* Returns the length used of *ret_ss. */
socklen_t ip_endpoint_to_sockaddr(const struct ip_endpoint *ep, struct sockaddr_storage *ret_ss);
