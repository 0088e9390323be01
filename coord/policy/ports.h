/* Ports and protocols as rules write them. */
#pragma once

#include "coord/policy/read.h"

/* "22", "80-443", "22,80,443", "*". false: reported, with "what" in front: the entry as written. */
bool ports_read(struct reader *rd, const char *text, const char *what, struct place at,
		struct port_list *ret_ports);
/* All ports: 0 to 65535, which also lets protocols without ports pass. */
struct port_list ports_all(void);
bool ports_are_all(const struct port_list *ports);
bool ports_contain(const struct port_list *ports, uint16_t port);
/* A port from 1 to 65535. Return: 0, -EINVAL. */
int port_parse(const char *text, uint16_t *ret_port);

bool protocol_has_ports(uint8_t proto);
/* "tcp"; NULL: no name. */
const char *protocol_to_string(uint8_t proto);
/* A name or a number, of a rule or a test. false: reported. */
bool protocol_read(struct reader *rd, const char *text, struct place at, uint8_t *ret_proto);
