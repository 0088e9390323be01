#include "coord/web/form.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/text.h"

void form_done(struct form *form)
{
	/* Passwords. */
	if (form->memory)
		explicit_bzero(form->memory, form->size);
	free(form->memory);
	*form = (struct form){ 0 };
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* In place. Return: whether all escapes are complete, and none of them is a NUL. */
static bool decode(char *text)
{
	char *out = text;

	for (; *text; text++) {
		if (*text == '%') {
			int high = hex(text[1]), low = high < 0 ? -1 : hex(text[2]);

			if (low < 0 || (high == 0 && low == 0))
				return false;
			*out++ = (char)(high << 4 | low);
			text += 2;
		} else {
			*out++ = *text == '+' ? ' ' : *text;
		}
	}
	*out = '\0';
	return true;
}

static bool name_is_good(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= FORM_MAX_NAME &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
		       len;
}

/* Return: what is wrong with the field; NULL: nothing. */
static const char *add_field(struct form *form, char *pair)
{
	char *value = strchr(pair, '=');

	if (!value)
		return "a field has no value";
	*value++ = '\0';
	if (!name_is_good(pair))
		return "a field has no name that is used here";
	if (!decode(value))
		return "an escape is not complete";
	if (strlen(value) > FORM_MAX_VALUE)
		return "a value is too long";
	if (!text_is_utf8(value) || text_has_control(value))
		return "a value is no text";
	if (form_get(form, pair))
		return "a field comes twice";
	if (form->n_fields == FORM_MAX_FIELDS)
		return "there are too many fields";
	form->fields[form->n_fields++] = (struct form_field){ pair, value };
	return NULL;
}

int form_parse(const char *body, size_t len, struct form *ret_form, const char **ret_why)
{
	_cleanup_(form_done) struct form form = { .size = len + 1 };
	const char *why = NULL;
	char *at;

	if (len > FORM_MAX_BYTES)
		why = "it is too long";
	else if (memchr(body, '\0', len))
		why = "there is a NUL in it";
	if (!why) {
		form.memory = malloc(len + 1);
		if (!form.memory)
			return -ENOMEM;
		memcpy(form.memory, body, len);
		form.memory[len] = '\0';
		at = form.memory;
		for (char *pair; !why && (pair = strsep(&at, "&"));)
			why = *pair || at || pair != form.memory ? add_field(&form, pair) : NULL;
	}
	if (why) {
		*ret_why = why;
		return -EINVAL;
	}
	*ret_form = form;
	form = (struct form){ 0 };
	return 0;
}

const char *form_get(const struct form *form, const char *name)
{
	for (size_t i = 0; i < form->n_fields; i++)
		if (strcmp(form->fields[i].name, name) == 0)
			return form->fields[i].value;
	return NULL;
}
