/* IP protocols by name, as people and policies call them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* "tcp", "icmp", "47". Return: 0, -EINVAL. */
int protocol_parse(const char *text, uint8_t *ret_proto);
/* The name; NULL: it has none here. */
const char *protocol_name(uint8_t proto);
bool protocol_has_ports(uint8_t proto);
