/* The display that stands for a client's X server. */
#pragma once

#include <sys/types.h>

#include "sshgw/msg_forward.h"
#include "sshgw/session/forward_listen.h"

/*
 * Listen at the first free display from 10 on, on the loopback. Return: 0 and the display's number
 * besides the sockets; negative errno with text.
 */
int x11_listen(struct listen_sockets *ret_sockets, uint32_t *ret_display, char **reterr_text);

/*
 * Start xauth(1), which makes the client's cookie the display's. It gets that by its input: what is
 * in arguments others see. It is killed after 10 s, and with us.
 * Return: 0; negative errno with text.
 */
int x11_authorize(const struct msg_listen *msg, uint32_t display, char *const *env, pid_t *ret_pid,
		  char **reterr_text);
