/* Host keys without their private half, for a libssh that insists on one. */
#pragma once

#include <libssh/libssh.h>

#include "sshgw/msg.h"

/*
 * A key object whose public half is that of the blob (SSH wire format: ssh-ed25519,
 * ecdsa-sha2-nistp256 or ssh-rsa) and whose private half is a dummy. It never signs: sign.c asks
 * the monitor. Return: 0 and the caller's key, -EINVAL, -ENOMEM.
 */
int hostkey_dummy(const struct msg_blob *public_blob, ssh_key *ret_key);
