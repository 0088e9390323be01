/* Mesh addresses: which there are, and which comes next. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/ip.h"

/* Host order. */
#define ADDRESS_FIRST 0x64400001u /* 100.64.0.1: the network's own is left out */
#define ADDRESS_LAST  0x647ffffeu /* 100.127.255.254: the last one, too */

/*
 * Within 100.64.0.0/10, but for its first and last, and for 100.100.100.100 and 100.115.92.0/23,
 * which others use in the same range (Tailscale's resolver; Chrome OS).
 */
bool address_may_be_given(const struct ip_addr *address);
bool address_number_may_be_given(uint32_t number);

uint32_t address_to_number(const struct ip_addr *ipv4);
struct ip_addr address_from_number(uint32_t number);
/* The next one that may be given, after the last comes the first. */
uint32_t address_next(uint32_t number);

/* The mesh's /48, and in the last 32 bits the IPv4 address. */
struct ip_addr address_ipv6(const struct ip_prefix *ula, const struct ip_addr *ipv4);
/* The reverse. Return: whether it is such an address. */
bool address_ipv4_of(const struct ip_prefix *ula, const struct ip_addr *ipv6,
		     struct ip_addr *ret_ipv4);
