#include "common/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

#define OPTION_HELP    'h' /* also the letter; the tables' ids are moved behind the letters */
#define OPTION_VERSION 255
#define OPTION_BASE    256
#define COLUMN	       22 /* where descriptions begin, at least */

/* ---- help ---- */

static void print_entry(const char *name, const char *arg, const char *help, int column)
{
	int n = printf("  %s%s%s", name, arg ? " " : "", arg ? arg : "");

	printf("%*s%s\n", n < column ? column - n : 1, "", help);
}

static void print_options(const struct cli_option *options, size_t n, int column)
{
	for (size_t i = 0; i < n; i++) {
		char name[64];

		snprintf(name, sizeof(name), "--%s", options[i].name);
		print_entry(name, options[i].arg, options[i].help, column);
	}
}

static void print_common_options(const struct cli_program *program, int column)
{
	print_options(program->options, program->n_options, column);
	print_entry("-h, --help", NULL, "This text", column);
}

/* Wide enough for the longest verb with its arguments, and two blanks. */
static int verbs_column(const struct cli_program *program)
{
	size_t column = COLUMN;

	for (size_t i = 0; i < program->n_verbs; i++) {
		const struct cli_verb *verb = &program->verbs[i];
		size_t len = strlen(verb->name) + (verb->args ? strlen(verb->args) + 1 : 0) + 4;

		if (len > column)
			column = len;
	}
	return (int)column;
}

static int print_program_help(const struct cli_program *program)
{
	int column = verbs_column(program);

	printf("Usage: %s [OPTION...] VERB [ARGUMENT...]\n\n%s\n\nVerbs:\n", program->name,
	       program->summary);
	for (size_t i = 0; i < program->n_verbs; i++)
		print_entry(program->verbs[i].name, program->verbs[i].args,
			    program->verbs[i].summary, column);
	printf("\nOptions:\n");
	print_common_options(program, column);
	if (program->version)
		print_entry("--version", NULL, "Version of this program", column);
	if (program->footer)
		printf("\n%s\n", program->footer);
	return CLI_OK;
}

static int print_verb_help(const struct cli_program *program, const struct cli_verb *verb)
{
	printf("Usage: %s %s [OPTION...]%s%s\n\n%s.\n", program->name, verb->name,
	       verb->args ? " " : "", verb->args ? verb->args : "", verb->summary);
	if (verb->help)
		printf("\n%s\n", verb->help);
	printf("\nOptions:\n");
	print_options(verb->options, verb->n_options, COLUMN);
	print_common_options(program, COLUMN);
	return CLI_OK;
}

static int usage_error(const struct cli_program *program, const struct cli_verb *verb,
		       const char *what, const char *word)
{
	_cleanup_free_ char *shown = word ? text_sanitize(word, 64) : NULL;

	fprintf(stderr, "%s: %s%s%s%s\n", program->name, what, word ? " '" : "", shown ? shown : "",
		word ? "'" : "");
	fprintf(stderr, "Try '%s%s%s --help'.\n", program->name, verb ? " " : "",
		verb ? verb->name : "");
	return CLI_USAGE;
}

/* ---- options ---- */

static struct option *add_options(struct option *to, const struct cli_option *options, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*to++ = (struct option){
			.name = options[i].name,
			.has_arg = options[i].arg ? required_argument : no_argument,
			.val = OPTION_BASE + options[i].id,
		};
	return to;
}

/* The program's options and the verb's (NULL: none) for getopt_long(); NULL when out of memory. */
static struct option *build_options(const struct cli_program *program, const struct cli_verb *verb)
{
	size_t n = program->n_options + (verb ? verb->n_options : 0) + 3;
	struct option *options, *end;

	options = calloc(n, sizeof(*options));
	if (!options)
		return NULL;
	end = add_options(options, program->options, program->n_options);
	if (verb)
		end = add_options(end, verb->options, verb->n_options);
	*end++ = (struct option){ .name = "help", .val = OPTION_HELP };
	if (program->version && !verb)
		*end = (struct option){ .name = "version", .val = OPTION_VERSION };
	return options;
}

/* Options that every program has. */
struct asked {
	bool help, version;
};

/*
 * Read options; optind is at the first other word then. Before the verb they end at that word.
 * Return: exit status.
 */
static int read_options(const struct cli_program *program, const struct cli_verb *verb, int argc,
			char **argv, void *userdata, struct asked *asked)
{
	_cleanup_free_ struct option *options = build_options(program, verb);
	int c, r;

	if (!options) {
		fprintf(stderr, "%s: out of memory\n", program->name);
		return CLI_NO;
	}
	optind = 0; /* GNU: start afresh */
	while ((c = getopt_long(argc, argv, verb ? "h" : "+h", options, NULL)) != -1) {
		if (c == OPTION_HELP || c == OPTION_VERSION) {
			asked->help |= c == OPTION_HELP;
			asked->version |= c == OPTION_VERSION;
			continue;
		}
		if (c < OPTION_BASE) {
			fprintf(stderr, "Try '%s%s%s --help'.\n", program->name, verb ? " " : "",
				verb ? verb->name : "");
			return CLI_USAGE;
		}
		r = program->option(c - OPTION_BASE, optarg, userdata);
		if (r != CLI_OK)
			return r;
	}
	return CLI_OK;
}

/* ---- verbs ---- */

/* How many words of argv the name takes up; 0: it is another verb. */
static int verb_matches(const char *name, int argc, char **argv)
{
	const char *second = strchr(name, ' ');
	size_t len = second ? (size_t)(second - name) : strlen(name);

	if (strlen(argv[0]) != len || strncmp(argv[0], name, len) != 0)
		return 0;
	if (!second)
		return 1;
	return argc > 1 && strcmp(argv[1], second + 1) == 0 ? 2 : 0;
}

static const struct cli_verb *find_verb(const struct cli_program *program, int argc, char **argv,
					int *ret_n_words)
{
	for (size_t i = 0; i < program->n_verbs; i++) {
		*ret_n_words = verb_matches(program->verbs[i].name, argc, argv);
		if (*ret_n_words > 0)
			return &program->verbs[i];
	}
	return NULL;
}

/* "acl", where there are only "acl show" and the like. */
static bool is_first_word(const struct cli_program *program, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i < program->n_verbs; i++)
		if (strncmp(program->verbs[i].name, word, len) == 0 &&
		    program->verbs[i].name[len] == ' ')
			return true;
	return false;
}

static int no_verb(const struct cli_program *program, int argc, char **argv)
{
	_cleanup_free_ char *both = NULL;

	if (!is_first_word(program, argv[0]))
		return usage_error(program, NULL, "unknown verb", argv[0]);
	if (argc < 2 || argv[1][0] == '-')
		return usage_error(program, NULL, "incomplete verb", argv[0]);
	both = text_printf("%s %s", argv[0], argv[1]);
	return usage_error(program, NULL, "unknown verb", both ? both : argv[1]);
}

/* argv[0] is the verb's last word: getopt_long() wants something there. */
static int run_verb(const struct cli_program *program, const struct cli_verb *verb, int argc,
		    char **argv, struct asked *asked, void *userdata)
{
	_cleanup_free_ char *title = text_printf("%s %s", program->name, verb->name);
	int n_args, r;

	if (title)
		argv[0] = title;
	r = read_options(program, verb, argc, argv, userdata, asked);
	if (r != CLI_OK)
		return r;
	if (asked->help)
		return print_verb_help(program, verb);
	n_args = argc - optind;
	if (n_args < verb->min_args)
		return usage_error(program, verb, "missing argument", verb->args);
	if (n_args > verb->max_args)
		return usage_error(program, verb, "too many arguments, beginning with",
				   argv[optind + verb->max_args]);
	return verb->run(n_args, argv + optind, userdata);
}

int cli_run(const struct cli_program *program, int argc, char **argv, void *userdata)
{
	const struct cli_verb *verb;
	struct asked asked = { 0 };
	int first, n_words, r;

	r = read_options(program, NULL, argc, argv, userdata, &asked);
	if (r != CLI_OK)
		return r;
	if (asked.version) {
		printf("%s %s\n", program->name, program->version);
		return CLI_OK;
	}
	first = optind;
	if (first >= argc) {
		if (asked.help)
			return print_program_help(program);
		return usage_error(program, NULL, "no verb given", NULL);
	}
	verb = find_verb(program, argc - first, argv + first, &n_words);
	if (!verb)
		return asked.help ? print_program_help(program)
				  : no_verb(program, argc - first, argv + first);
	first += n_words - 1;
	return run_verb(program, verb, argc - first, argv + first, &asked, userdata);
}
