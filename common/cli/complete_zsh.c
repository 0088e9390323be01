/* Completion for zsh: its own _arguments does the walking. */
#include <string.h>

#include "common/cli/complete_internal.h"

/* Text within a specification of _arguments: ":" and "[" mean something there. */
static void write_text(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (strchr(":[]\\", *text))
			fputc('\\', out);
		if (*text == '\'')
			fputs("'\\''", out);
		else
			fputc(*text, out);
	}
}

static void write_kind(const struct cli_completion *completion, const struct complete_kind *kind,
		       FILE *out)
{
	switch (kind->type) {
	case COMPLETE_NOTHING:
		fputs(" ", out);
		break;
	case COMPLETE_FILES:
		fputs("_files", out);
		break;
	case COMPLETE_USERS:
		fputs("_users", out);
		break;
	case COMPLETE_WORDS:
		fprintf(out, "(%s)", kind->words);
		break;
	case COMPLETE_LISTER:
		fprintf(out, "_%s_%s", completion->program->name, kind->words);
		break;
	}
}

static void write_option(const struct cli_completion *completion, const struct cli_option *option,
			 FILE *out)
{
	struct complete_kind kind;

	fprintf(out, " \\\n\t\t'--%s%s[", option->name, option->arg ? "=" : "");
	write_text(option->help, out);
	fputc(']', out);
	if (option->arg) {
		kind = complete_kind_of(completion, option->arg);
		fputc(':', out);
		write_text(option->arg, out);
		fputc(':', out);
		write_kind(completion, &kind, out);
	}
	fputc('\'', out);
}

static void write_options(const struct cli_completion *completion, const struct cli_verb *verb,
			  FILE *out)
{
	const struct cli_program *program = completion->program;

	for (size_t i = 0; i < program->n_options; i++)
		write_option(completion, &program->options[i], out);
	for (size_t i = 0; verb && i < verb->n_options; i++)
		write_option(completion, &verb->options[i], out);
	fputs(" \\\n\t\t'(- *)'{-h,--help}'[Help]'", out);
	if (program->version && !verb)
		fputs(" \\\n\t\t'(- *)--version[Version of this program]'", out);
}

/* first: the number of the first argument, behind the verb's words. */
static void write_args(const struct cli_completion *completion, const struct cli_verb *verb,
		       int first, FILE *out)
{
	struct complete_args args;

	complete_args_of(completion, verb, &args);
	for (size_t i = 0; i < args.n; i++) {
		if (i + 1 == args.n && args.repeated)
			fputs(" \\\n\t\t'*: :", out);
		else
			fprintf(out, " \\\n\t\t'%zu: :", (size_t)first + i);
		write_kind(completion, &args.kinds[i], out);
		fputc('\'', out);
	}
}

static void write_verb(const struct cli_completion *completion, const struct cli_verb *verb,
		       FILE *out)
{
	bool two = verb->name[complete_first_len(verb->name)];

	fprintf(out, "\t'%s%s)\n\t\t_arguments -s", verb->name, two ? "'" : " '*");
	write_options(completion, verb, out);
	fprintf(out, " \\\n\t\t'1: :'");
	if (two)
		fprintf(out, " \\\n\t\t'2: :'");
	write_args(completion, verb, two ? 3 : 2, out);
	fputs("\n\t\t;;\n", out);
}

/* 'show:Packet filter rules in force', for each verb of this first word; all of them: len 0. */
static void write_described(const struct cli_program *program, const char *first, size_t len,
			    FILE *out)
{
	for (size_t i = 0; i < program->n_verbs; i++) {
		const char *name = program->verbs[i].name;
		size_t own = complete_first_len(name);

		if (len == 0 && !complete_is_first(program, i))
			continue;
		if (len > 0 && (own != len || strncmp(name, first, len) != 0 || !name[len]))
			continue;
		fputs("\n\t\t'", out);
		write_text(len ? name + len + 1 : "", out);
		if (len == 0)
			fprintf(out, "%.*s", (int)own, name);
		fputc(':', out);
		write_text(len || !name[own] ? program->verbs[i].summary : "...", out);
		fputc('\'', out);
	}
}

static void write_seconds(const struct cli_program *program, FILE *out)
{
	for (size_t i = 0; i < program->n_verbs; i++) {
		const char *name = program->verbs[i].name;
		size_t len = complete_first_len(name);

		if (!complete_is_first(program, i) || !name[len])
			continue;
		fprintf(out, "\t%.*s)\n\t\tverbs=(", (int)len, name);
		write_described(program, name, len, out);
		fputs(")\n\t\t;;\n", out);
	}
}

static void write_listers(const struct cli_completion *completion, FILE *out)
{
	for (size_t i = 0; i < completion->n_listers; i++)
		fprintf(out,
			"_%s_%s()\n{\n\tlocal -a found\n\tfound=(${(f)\"$(%s)\"})\n"
			"\tcompadd -a found\n}\n\n",
			completion->program->name, completion->listers[i].kind,
			completion->listers[i].command);
}

void complete_write_zsh(const struct cli_completion *completion, FILE *out)
{
	const struct cli_program *program = completion->program;

	fprintf(out,
		"#compdef %s\n# Completion for zsh; written from the program's own table of "
		"verbs.\n\n",
		program->name);
	write_listers(completion, out);
	fprintf(out,
		"_%s()\n{\n"
		"\tlocal -a verbs said\n"
		"\tlocal word skip=\n"
		"\t# The words before the cursor that are no options, nor values of such.\n"
		"\tfor word in ${words[2,CURRENT-1]}; do\n"
		"\t\tif [[ -n $skip ]]; then skip=; continue; fi\n"
		"\t\tcase $word in\n"
		"\t\t",
		program->name);
	complete_write_takers(program, "|", out);
	fputs(") skip=1 ;;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) said+=($word) ;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tverbs=(",
	      out);
	write_described(program, NULL, 0, out);
	fputs(")\n"
	      "\tif [[ -z $skip && $words[CURRENT] != -* && ${#said} -le 1 ]]; then\n"
	      "\t\tcase ${said[1]-} in\n"
	      "\t\t'') _describe verb verbs; return ;;\n"
	      "\t\tesac\n"
	      "\t\tverbs=()\n"
	      "\t\tcase ${said[1]} in\n",
	      out);
	write_seconds(program, out);
	fputs("\t\tesac\n"
	      "\t\tif (( ${#verbs} )); then _describe verb verbs; return; fi\n"
	      "\tfi\n"
	      "\tcase \"${said[1]-} ${said[2]-}\" in\n",
	      out);
	for (size_t i = 0; i < program->n_verbs; i++)
		write_verb(completion, &program->verbs[i], out);
	fputs("\t*)\n\t\t_arguments -s", out);
	write_options(completion, NULL, out);
	fprintf(out, "\n\t\t;;\n\tesac\n}\n\n_%s \"$@\"\n", program->name);
}
