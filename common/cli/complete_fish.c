/* Completion for fish: one "complete" for each thing, with the condition under which it holds. */
#include <string.h>

#include "common/cli/complete_internal.h"

static void write_kind(const struct cli_completion *completion, const struct complete_kind *kind,
		       FILE *out)
{
	switch (kind->type) {
	case COMPLETE_NOTHING:
		break;
	case COMPLETE_FILES:
		fputs(" -F", out);
		break;
	case COMPLETE_USERS:
		fputs(" -a '(__fish_complete_users)'", out);
		break;
	case COMPLETE_WORDS:
		fprintf(out, " -a '%s'", kind->words);
		break;
	case COMPLETE_LISTER:
		fprintf(out, " -a '(__%s_%s)'", completion->program->name, kind->words);
		break;
	}
}

static void write_options(const struct cli_completion *completion, const struct cli_option *options,
			  size_t n, const char *verb, FILE *out)
{
	const char *name = completion->program->name;

	for (size_t i = 0; i < n; i++) {
		fprintf(out, "complete -c %s", name);
		if (verb)
			fprintf(out, " -n '__%s_verb %s'", name, verb);
		fprintf(out, " -l %s", options[i].name);
		if (options[i].arg) {
			struct complete_kind kind = complete_kind_of(completion, options[i].arg);

			fputs(kind.type == COMPLETE_FILES ? " -r" : " -x", out);
			write_kind(completion, &kind, out);
		}
		fputs(" -d ", out);
		complete_quote(options[i].help, out);
		fputc('\n', out);
	}
}

static void write_args(const struct cli_completion *completion, const struct cli_verb *verb,
		       FILE *out)
{
	const char *name = completion->program->name;
	struct complete_args args;

	complete_args_of(completion, verb, &args);
	for (size_t i = 0; i < args.n; i++) {
		if (args.kinds[i].type == COMPLETE_NOTHING)
			continue;
		fprintf(out, "complete -c %s -n '__%s_at %zu%s %s'", name, name, i,
			i + 1 == args.n && args.repeated ? "+" : "", verb->name);
		write_kind(completion, &args.kinds[i], out);
		fputc('\n', out);
	}
}

static void write_verb(const struct cli_completion *completion, size_t i, FILE *out)
{
	const struct cli_program *program = completion->program;
	const struct cli_verb *verb = &program->verbs[i];
	size_t len = complete_first_len(verb->name);

	if (complete_is_first(program, i)) {
		fprintf(out, "complete -c %s -n '__%s_at 0' -a %.*s -d ", program->name,
			program->name, (int)len, verb->name);
		complete_quote(verb->name[len] ? "..." : verb->summary, out);
		fputc('\n', out);
	}
	if (verb->name[len]) {
		fprintf(out, "complete -c %s -n '__%s_at 0 %.*s' -a %s -d ", program->name,
			program->name, (int)len, verb->name, verb->name + len + 1);
		complete_quote(verb->summary, out);
		fputc('\n', out);
	}
	write_args(completion, verb, out);
	write_options(completion, verb->options, verb->n_options, verb->name, out);
}

/* The functions that the conditions are made of. */
static void write_functions(const struct cli_completion *completion, FILE *out)
{
	const char *name = completion->program->name;

	for (size_t i = 0; i < completion->n_listers; i++)
		fprintf(out, "function __%s_%s\n\t%s\nend\n\n", name, completion->listers[i].kind,
			completion->listers[i].command);
	fprintf(out,
		"# The words before the cursor that are no options, nor values of such.\n"
		"function __%s_said\n"
		"\tset -l skip 0\n"
		"\tfor word in (commandline -opc)[2..-1]\n"
		"\t\tif test $skip -eq 1\n"
		"\t\t\tset skip 0\n"
		"\t\t\tcontinue\n"
		"\t\tend\n"
		"\t\tswitch $word\n"
		"\t\tcase ",
		name);
	complete_write_takers(completion->program, " ", out);
	fprintf(out,
		"\n"
		"\t\t\tset skip 1\n"
		"\t\tcase '-*'\n"
		"\t\tcase '*'\n"
		"\t\t\techo $word\n"
		"\t\tend\n"
		"\tend\n"
		"end\n\n"
		"# Are these words the verb?\n"
		"function __%s_verb\n"
		"\tset -l said (__%s_said)\n"
		"\tset -l n (count $argv)\n"
		"\ttest (count $said) -ge $n; and test \"$said[1..$n]\" = \"$argv\"\n"
		"end\n\n",
		name, name);
	fprintf(out,
		"# Is the cursor at argument N (\"N+\": or a later one) of this verb?\n"
		"function __%s_at\n"
		"\tset -l n (string replace + '' -- $argv[1])\n"
		"\tset -l verb $argv[2..-1]\n"
		"\tset -l past (math (count (__%s_said)) - (count $verb))\n"
		"\tif string match -q '*+' -- $argv[1]\n"
		"\t\ttest $past -ge $n; or return 1\n"
		"\telse\n"
		"\t\ttest $past -eq $n; or return 1\n"
		"\tend\n"
		"\ttest (count $verb) -eq 0; or __%s_verb $verb\n"
		"end\n\n",
		name, name, name);
}

void complete_write_fish(const struct cli_completion *completion, FILE *out)
{
	const struct cli_program *program = completion->program;

	fprintf(out, "# Completion of %s for fish; written from its own table of verbs.\n\n",
		program->name);
	write_functions(completion, out);
	fprintf(out, "complete -c %s -f\n", program->name);
	write_options(completion, program->options, program->n_options, NULL, out);
	fprintf(out, "complete -c %s -s h -l help -d Help\n", program->name);
	if (program->version)
		fprintf(out,
			"complete -c %s -n '__%s_at 0' -l version -d 'Version of this program'\n",
			program->name, program->name);
	for (size_t i = 0; i < program->n_verbs; i++)
		write_verb(completion, i, out);
}
