#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/cli/complete_internal.h"

static const struct {
	const char *name;
	struct complete_kind kind;
} known[] = {
	{ "FILE", { .type = COMPLETE_FILES } },
	{ "PATH", { .type = COMPLETE_FILES } },
	{ "OLD", { .type = COMPLETE_FILES } },
	{ "NEW", { .type = COMPLETE_FILES } },
	{ "USER", { .type = COMPLETE_USERS } },
	{ "PROTOCOL", { .type = COMPLETE_WORDS, .words = "tcp udp icmp sctp" } },
};

/* Is name[0..len) one of the words of list? */
static bool is_listed(const char *list, const char *name, size_t len)
{
	while (*list) {
		size_t word = strcspn(list, " ");

		if (word == len && strncmp(list, name, len) == 0)
			return true;
		list += word;
		list += strspn(list, " ");
	}
	return false;
}

static struct complete_kind literal(const char *text)
{
	struct complete_kind kind = { .type = COMPLETE_WORDS };

	snprintf(kind.words, sizeof(kind.words), "%s", text);
	return kind;
}

struct complete_kind complete_kind_of(const struct cli_completion *completion, const char *name)
{
	struct complete_kind kind = { .type = COMPLETE_NOTHING };
	size_t len;

	/* "[FILE]": may be left out. */
	name += name[0] == '[';
	len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	if (islower((unsigned char)name[0]))
		return literal(name);
	for (size_t i = 0; i < completion->n_listers; i++)
		if (is_listed(completion->listers[i].names, name, len)) {
			kind = literal(completion->listers[i].kind);
			kind.type = COMPLETE_LISTER;
			return kind;
		}
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i].name) == len && strncmp(known[i].name, name, len) == 0)
			return known[i].kind;
	return kind;
}

/* "FILE --nodes FILE SRC DST": what an option brings along is no argument. */
static void take_word(const struct cli_completion *completion, const char *word, bool *option,
		      struct complete_args *args)
{
	if (strncmp(word, "--", 2) == 0) {
		*option = true;
		return;
	}
	if (!*option && args->n < COMPLETE_MAX_ARGS)
		args->kinds[args->n++] = complete_kind_of(completion, word);
	*option = false;
	args->repeated = strstr(word, "...") != NULL;
}

void complete_args_of(const struct cli_completion *completion, const struct cli_verb *verb,
		      struct complete_args *ret_args)
{
	char text[256] = "", *rest = text, *word;
	bool option = false;

	*ret_args = (struct complete_args){ 0 };
	snprintf(text, sizeof(text), "%s", verb->args ? verb->args : "");
	/* "PEER USER | USER@HOST": the first of several ways. */
	text[strcspn(text, "|")] = '\0';
	while ((word = strsep(&rest, " ")))
		if (word[0])
			take_word(completion, word, &option, ret_args);
}

void complete_quote(const char *text, FILE *out)
{
	fputc('\'', out);
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", out);
		else
			fputc(*text, out);
	fputc('\'', out);
}

/* Return: whether there were any, now or before. */
static bool write_takers(const struct cli_option *options, size_t n, const char *between, bool any,
			 FILE *out)
{
	for (size_t i = 0; i < n; i++)
		if (options[i].arg) {
			fprintf(out, "%s--%s", any ? between : "", options[i].name);
			any = true;
		}
	return any;
}

void complete_write_takers(const struct cli_program *program, const char *between, FILE *out)
{
	bool any = write_takers(program->options, program->n_options, between, false, out);

	for (size_t i = 0; i < program->n_verbs; i++)
		any = write_takers(program->verbs[i].options, program->verbs[i].n_options, between,
				   any, out);
	if (!any)
		fputs("''", out);
}

size_t complete_first_len(const char *name)
{
	return strcspn(name, " ");
}

bool complete_is_first(const struct cli_program *program, size_t verb)
{
	const char *name = program->verbs[verb].name;
	size_t len = complete_first_len(name);

	for (size_t i = 0; i < verb; i++)
		if (complete_first_len(program->verbs[i].name) == len &&
		    strncmp(program->verbs[i].name, name, len) == 0)
			return false;
	return true;
}

int cli_complete_write(const struct cli_completion *completion, const char *shell, FILE *out)
{
	if (strcmp(shell, "bash") == 0)
		complete_write_bash(completion, out);
	else if (strcmp(shell, "zsh") == 0)
		complete_write_zsh(completion, out);
	else if (strcmp(shell, "fish") == 0)
		complete_write_fish(completion, out);
	else
		return -EINVAL;
	return 0;
}

int cli_complete_main(const struct cli_completion *completion, int argc, char **argv)
{
	if (argc != 2 || cli_complete_write(completion, argv[1], stdout) < 0) {
		fprintf(stderr, "usage: %s bash|zsh|fish\n", argv[0]);
		return CLI_USAGE;
	}
	return fflush(stdout) == 0 && !ferror(stdout) ? CLI_OK : CLI_NO;
}
