/*
 * Completion for bash. The words before the cursor are walked once, to find the verb and how many
 * arguments it has; ":" and "=" are words of their own there (COMP_WORDBREAKS).
 */
#include <string.h>

#include "common/cli/complete_internal.h"

static void write_kind(const struct cli_completion *completion, const struct complete_kind *kind,
		       FILE *out)
{
	const char *name = completion->program->name;

	switch (kind->type) {
	case COMPLETE_NOTHING:
		fputs(":", out);
		break;
	case COMPLETE_FILES:
		fputs("compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "
		      "\"$cur\")",
		      out);
		break;
	case COMPLETE_USERS:
		fputs("mapfile -t COMPREPLY < <(compgen -u -- \"$cur\")", out);
		break;
	case COMPLETE_WORDS:
		fprintf(out, "mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")", kind->words);
		break;
	case COMPLETE_LISTER:
		fprintf(out, "mapfile -t COMPREPLY < <(compgen -W \"$(_%s_%s)\" -- \"$cur\")", name,
			kind->words);
		break;
	}
}

static void write_listers(const struct cli_completion *completion, FILE *out)
{
	for (size_t i = 0; i < completion->n_listers; i++)
		fprintf(out, "_%s_%s()\n{\n\t%s\n}\n\n", completion->program->name,
			completion->listers[i].kind, completion->listers[i].command);
}

/* The options' values: the program's own first. */
static void write_values(const struct cli_completion *completion, const struct cli_option *options,
			 size_t n, FILE *out)
{
	for (size_t i = 0; i < n; i++) {
		struct complete_kind kind;

		if (!options[i].arg)
			continue;
		kind = complete_kind_of(completion, options[i].arg);
		fprintf(out, "\t--%s) ", options[i].name);
		write_kind(completion, &kind, out);
		fputs("; return ;;\n", out);
	}
}

static void write_all_values(const struct cli_completion *completion, FILE *out)
{
	const struct cli_program *program = completion->program;

	fputs("\tcase $option in\n", out);
	write_values(completion, program->options, program->n_options, out);
	for (size_t i = 0; i < program->n_verbs; i++)
		write_values(completion, program->verbs[i].options, program->verbs[i].n_options,
			     out);
	fputs("\tesac\n", out);
}

static void write_options(const struct cli_option *options, size_t n, FILE *out)
{
	for (size_t i = 0; i < n; i++)
		fprintf(out, " --%s", options[i].name);
}

static void write_verb(const struct cli_completion *completion, const struct cli_verb *verb,
		       FILE *out)
{
	struct complete_args args;

	complete_args_of(completion, verb, &args);
	fprintf(out, "\t'%s')\n\t\toptions+='", verb->name);
	write_options(verb->options, verb->n_options, out);
	fputs("'\n\t\tcase $cur:$n in\n"
	      "\t\t-*) mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\") ;;\n",
	      out);
	for (size_t i = 0; i < args.n; i++) {
		fprintf(out, "\t\t*:%zu%s) ", i, i + 1 == args.n && args.repeated ? "|*" : "");
		write_kind(completion, &args.kinds[i], out);
		fputs(" ;;\n", out);
	}
	fputs("\t\tesac\n\t\treturn\n\t\t;;\n", out);
}

/* A case for each first word of two: the second words. */
static void write_seconds(const struct cli_program *program, FILE *out)
{
	for (size_t i = 0; i < program->n_verbs; i++) {
		const char *name = program->verbs[i].name;
		size_t len = complete_first_len(name);

		if (!complete_is_first(program, i) || !name[len])
			continue;
		fprintf(out, "\t%.*s:1) words='", (int)len, name);
		for (size_t k = i; k < program->n_verbs; k++)
			if (strncmp(program->verbs[k].name, name, len + 1) == 0)
				fprintf(out, " %s", program->verbs[k].name + len + 1);
		fputs("' ;;\n", out);
	}
}

static void write_first_words(const struct cli_program *program, FILE *out)
{
	for (size_t i = 0; i < program->n_verbs; i++)
		if (complete_is_first(program, i))
			fprintf(out, " %.*s", (int)complete_first_len(program->verbs[i].name),
				program->verbs[i].name);
}

/* Find out where the cursor is: the option whose value it is at, the words before it. */
static void write_walk(const struct cli_program *program, FILE *out)
{
	fprintf(out,
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]} option= first= second= verb= words= i n=0\n"
		"\tlocal options='");
	write_options(program->options, program->n_options, out);
	fputs(" --help'\n", out);
	fputs("\tCOMPREPLY=()\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase ${COMP_WORDS[i]} in\n"
	      "\t\t",
	      out);
	complete_write_takers(program, "|", out);
	fputs(")\n"
	      "\t\t\toption=${COMP_WORDS[i]}\n"
	      "\t\t\t[[ ${COMP_WORDS[i + 1]} == '=' ]] && ((i++))\n"
	      "\t\t\t((++i < COMP_CWORD)) && option=\n"
	      "\t\t\t;;\n"
	      "\t\t-*|=) ;;\n"
	      "\t\t:*)\n"
	      "\t\t\t((i++)) ;;\n"
	      "\t\t*)\n"
	      "\t\t\tif [[ -z $first ]]; then first=${COMP_WORDS[i]}\n"
	      "\t\t\telif [[ -z $second ]]; then second=${COMP_WORDS[i]}\n"
	      "\t\t\tfi\n"
	      "\t\t\t((n++))\n"
	      "\t\t\t;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\t[[ $cur == '=' ]] && cur=\n",
	      out);
}

void complete_write_bash(const struct cli_completion *completion, FILE *out)
{
	const struct cli_program *program = completion->program;

	fprintf(out, "# Completion of %s for bash; written from its own table of verbs.\n\n",
		program->name);
	write_listers(completion, out);
	fprintf(out, "_%s()\n{\n", program->name);
	write_walk(program, out);
	write_all_values(completion, out);
	fputs("\tcase $first:$n in\n\t:0) words='", out);
	write_first_words(program, out);
	fputs("' ;;\n", out);
	write_seconds(program, out);
	fputs("\tesac\n"
	      "\t# What the verb is, and how many arguments it has.\n"
	      "\tcase \"$first $second\" in\n",
	      out);
	for (size_t i = 0; i < program->n_verbs; i++) {
		const char *name = program->verbs[i].name;

		if (name[complete_first_len(name)])
			fprintf(out, "\t'%s') verb=\"$first $second\" n=$((n - 2)) ;;\n", name);
		else
			fprintf(out, "\t'%s '*) verb=$first n=$((n - 1)) ;;\n", name);
	}
	fputs("\tesac\n"
	      "\tif [[ -n $words && $cur != -* ]]; then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tcase $verb in\n",
	      out);
	for (size_t i = 0; i < program->n_verbs; i++)
		write_verb(completion, &program->verbs[i], out);
	fprintf(out,
		"\tesac\n"
		"%s"
		"\t[[ $cur == -* ]] && mapfile -t COMPREPLY < <(compgen -W \"$options\" -- "
		"\"$cur\")\n"
		"}\n"
		"complete -F _%s %s\n",
		program->version ? "\t[[ -z $first ]] && options+=' --version'\n" : "",
		program->name, program->name);
}
