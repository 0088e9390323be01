/* What the shells' writers share. */
#pragma once

#include <stdbool.h>

#include "common/cli/complete.h"

#define COMPLETE_MAX_ARGS 8u

/* What an argument is. */
struct complete_kind {
	enum {
		COMPLETE_NOTHING,
		COMPLETE_FILES,
		COMPLETE_USERS,
		COMPLETE_WORDS,	 /* words, separated by blanks */
		COMPLETE_LISTER, /* words: the lister's kind */
	} type;
	char words[64];
};

/* The arguments of a verb, in order; the last may come again and again. */
struct complete_args {
	struct complete_kind kinds[COMPLETE_MAX_ARGS];
	size_t n;
	bool repeated;
};

/* name: "FILE", "DST[:PORT]", "lose-ssh". */
struct complete_kind complete_kind_of(const struct cli_completion *completion, const char *name);
void complete_args_of(const struct cli_completion *completion, const struct cli_verb *verb,
		      struct complete_args *ret_args);
/* 'text', as all three shells read it. */
void complete_quote(const char *text, FILE *out);
/* The names of all options that take a value, as a pattern of "case"; '' if there are none. */
void complete_write_takers(const struct cli_program *program, const char *between, FILE *out);
/* Is this the first verb of its first word? */
bool complete_is_first(const struct cli_program *program, size_t verb);
/* Length of the verb's first word. */
size_t complete_first_len(const char *name);

void complete_write_bash(const struct cli_completion *completion, FILE *out);
void complete_write_zsh(const struct cli_completion *completion, FILE *out);
void complete_write_fish(const struct cli_completion *completion, FILE *out);
