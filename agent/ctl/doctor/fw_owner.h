/* Whose a foreign chain is, and what its owner has to be told. */
#pragma once

#include "agent/ctl/doctor/fw.h"

#define FW_OWNER_LEN  256
#define FW_REMEDY_LEN 512

enum fw_way {
	FW_FROM_MESH,
	FW_TO_MESH,
	FW_WIREGUARD_IN,
	FW_WIREGUARD_OUT,
};

/* "ufw", "firewalld", "Tailscale", "iptables (table ip filter)", "the table inet filter". */
void fw_owner_name(const struct fw *fw, const struct fw_answer *answer, char buf[FW_OWNER_LEN]);
/* A command where there is one, else words. */
void fw_owner_remedy(const struct fw *fw, const struct fw_answer *answer, enum fw_way way,
		     const char *link, uint16_t port, char buf[FW_REMEDY_LEN]);
