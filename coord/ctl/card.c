#include "coord/ctl/card.h"

int card_line(const struct cli_out *out, const char *title, const char *text)
{
	int r;

	cli_print(out, CLI_FAINT, "%14s  ", title);
	r = cli_show(out, CLI_PLAIN, "%s", text);
	fputc('\n', out->file);
	return r;
}

int card_list(const struct cli_out *out, const char *title, const json_t *object, const char *key)
{
	const json_t *list = json_object_get(object, key), *item;
	size_t i;
	int r = 0;

	json_array_foreach (list, i, item)
		r |= card_line(out, i == 0 ? title : "",
			       json_is_string(item) ? json_string_value(item) : "-");
	return r;
}
