/*
 * Command lines of the form "PROGRAM [OPTION...] VERB [ARGUMENT...]": verbs and options are tables,
 * help and usage errors come from them.
 */
#pragma once

#include <stddef.h>

/* Exit statuses of all our command line tools. */
enum {
	CLI_OK = 0,
	CLI_NO = 1,	     /* the answer is no, or tells of a problem */
	CLI_USAGE = 2,	     /* the command line makes no sense */
	CLI_UNREACHABLE = 3, /* the daemon does not answer */
};

struct cli_option {
	const char *name; /* "socket": --socket */
	const char *arg;  /* "PATH"; NULL: takes none */
	const char *help; /* one line */
	int id;		  /* for cli_program.option, 1 and up */
};

struct cli_verb {
	const char *name;    /* one or two words: "acl show" */
	const char *args;    /* "ADDRESS"; NULL: none */
	const char *summary; /* one line, for the list of verbs */
	const char *help;    /* more lines, for the verb's own help; may be NULL */
	int min_args, max_args;
	const struct cli_option *options; /* besides the program's */
	size_t n_options;
	/* argv[0] is the first argument. Return: exit status. */
	int (*run)(int argc, char **argv, void *userdata);
};

struct cli_program {
	const char *name, *summary;
	const char *version; /* for --version; NULL: there is no such option */
	const struct cli_verb *verbs;
	size_t n_verbs;
	const struct cli_option *options; /* of every verb; --help comes by itself */
	size_t n_options;
	const char *footer; /* ends the help; may be NULL */
	/* Takes note of an option. Return: CLI_OK; CLI_USAGE when it has said what is wrong. */
	int (*option)(int id, const char *arg, void *userdata);
};

/* Parse the command line and run its verb. Return: exit status. */
int cli_run(const struct cli_program *program, int argc, char **argv, void *userdata);
