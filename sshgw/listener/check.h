/* peergate-sshgw --check: is the ceiling good, and what does it mean? */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/*
 * Reads the file as the gateway does, and looks up the accounts that it names. Errors go to err,
 * the rest, warnings among it, to out. required: a file that does not exist is an error.
 * Return: exit status: 0; 1 when the gateway would let nobody in because of it.
 */
int ceiling_check_run(const char *path, bool required, FILE *out, FILE *err);
