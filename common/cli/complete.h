/*
 * Completion for bash, zsh and fish, written from a program's tables of verbs and options, so that
 * it knows what the program knows.
 *
 * What an argument is comes from its name in the tables: FILE, PATH, OLD and NEW are files, USER is
 * an account, PROTOCOL is one of some; small letters stand for themselves. What else there is to
 * complete, a lister has.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "common/cli/cli.h"

/* A shell command that prints words, one on each line, for arguments of these names. */
struct cli_lister {
	const char *kind;  /* "nodes": part of a function's name */
	const char *names; /* "SRC DST PEER": separated by blanks */
	const char *command;
};

struct cli_completion {
	const struct cli_program *program;
	const struct cli_lister *listers;
	size_t n_listers;
};

/* shell: "bash", "zsh" or "fish". Return: 0, -EINVAL (another), -ENOMEM. */
int cli_complete_write(const struct cli_completion *completion, const char *shell, FILE *out);
/* A main() that does so: PROGRAM SHELL >FILE. Return: exit status. */
int cli_complete_main(const struct cli_completion *completion, int argc, char **argv);
