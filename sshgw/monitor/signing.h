/* Signatures: the net process wants them, the keys process makes them, and there is a limit. */
#pragma once

#include "sshgw/monitor/monitor.h"

/* Before anything is asked for. Return: 0, negative errno. */
int signing_init(struct monitor *m);
void signing_done(struct monitor *m);
/* NET_SIGN. */
int signing_asked(struct monitor *m, struct chan_msg *msg);
/* NET_PROVE. */
int signing_proof_asked(struct monitor *m, struct chan_msg *msg);
/* KEYS_SIGNED. */
int signing_answered(struct monitor *m, struct chan_msg *msg);
