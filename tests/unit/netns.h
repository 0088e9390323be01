/* Tests on a real kernel: in a network namespace of their own, looked at with the usual tools. */
#pragma once

#include <stdbool.h>

#define NETNS_SKIP 77 /* what meson takes for "skipped" */

/* Enter a new, empty namespace with a working nft(8). Return: false: not root, or it is lacking. */
bool netns_enter(void);
bool netns_has_wireguard(void);

/* What a shell command prints, the caller's; the test fails if the command does. */
char *output_of(const char *command);
void run(const char *command);
void assert_output(const char *command, const char *expected);
