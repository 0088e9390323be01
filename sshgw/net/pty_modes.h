/* Terminal modes of pty requests: libssh parses them, and gives nobody access. */
#pragma once

#include "sshgw/net/net.h"

/* A pty request, before libssh queues it. */
void pty_modes_keep(struct net *net, const uint8_t *packet, size_t packet_len);
/* Modes of the oldest pty request not yet taken; the caller owns .data. Empty if there is none. */
struct msg_blob pty_modes_take(struct net *net);
/* Pure: encoded modes in a "pty-req" channel request (RFC 4254 section 6.2), borrowed. */
int pty_modes_find(const uint8_t *packet, size_t len, const uint8_t **ret_modes, size_t *ret_len);
