/* The public halves of the host keys, for those who tell other hosts of them. */
#pragma once

#include "sshgw/keys/hostkeys.h"

/*
 * Write the keys that connections are shown to a file that everybody may read, "TYPE BASE64" on
 * each line. One that says so already stays as it is. Return: 0, negative errno.
 */
int hostkeys_publish(const struct hostkeys *keys, const char *path);
