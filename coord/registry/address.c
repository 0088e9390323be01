#include "coord/registry/address.h"

#include <string.h>

#define RESOLVER     0x64646464u /* 100.100.100.100 */
#define CHROME_FIRST 0x64735c00u /* 100.115.92.0 */
#define CHROME_LAST  0x64735dffu /* 100.115.93.255 */

bool address_number_may_be_given(uint32_t number)
{
	return number >= ADDRESS_FIRST && number <= ADDRESS_LAST && number != RESOLVER &&
	       (number < CHROME_FIRST || number > CHROME_LAST);
}

bool address_may_be_given(const struct ip_addr *address)
{
	return address->family == AF_INET &&
	       address_number_may_be_given(address_to_number(address));
}

uint32_t address_to_number(const struct ip_addr *ipv4)
{
	return (uint32_t)ipv4->bytes[0] << 24 | (uint32_t)ipv4->bytes[1] << 16 |
	       (uint32_t)ipv4->bytes[2] << 8 | ipv4->bytes[3];
}

struct ip_addr address_from_number(uint32_t number)
{
	return (struct ip_addr){
		.family = AF_INET,
		.bytes = { number >> 24, number >> 16 & 0xff, number >> 8 & 0xff, number & 0xff },
	};
}

uint32_t address_next(uint32_t number)
{
	do {
		number = number < ADDRESS_FIRST || number >= ADDRESS_LAST ? ADDRESS_FIRST
									  : number + 1;
	} while (!address_number_may_be_given(number));
	return number;
}

struct ip_addr address_ipv6(const struct ip_prefix *ula, const struct ip_addr *ipv4)
{
	struct ip_addr ipv6 = ula->addr;

	memcpy(ipv6.bytes + 12, ipv4->bytes, 4);
	return ipv6;
}

bool address_ipv4_of(const struct ip_prefix *ula, const struct ip_addr *ipv6,
		     struct ip_addr *ret_ipv4)
{
	struct ip_addr ipv4 = { .family = AF_INET }, again;

	if (ipv6->family != AF_INET6)
		return false;
	memcpy(ipv4.bytes, ipv6->bytes + 12, 4);
	again = address_ipv6(ula, &ipv4);
	if (!ip_addr_equal(&again, ipv6))
		return false;
	*ret_ipv4 = ipv4;
	return true;
}
