/*
 * Bodies of forms. What is accepted is within its bounds, has each name once, and reads the same
 * when it is written out and read again; what it says is no markup on a page.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/text.h"
#include "coord/web/form.h"
#include "coord/web/html.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static char *write_form(const struct form *form, size_t *ret_len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);

	require(f != NULL);
	for (size_t i = 0; i < form->n_fields; i++) {
		fprintf(f, "%s%s=", i ? "&" : "", form->fields[i].name);
		for (const char *c = form->fields[i].value; *c; c++)
			fprintf(f, "%%%02x", (unsigned char)*c);
	}
	fclose(f);
	return text;
}

static void check_field(const struct form *form, size_t i)
{
	_cleanup_(html_done) struct html html = { 0 };
	const struct form_field *field = &form->fields[i];

	require(strlen(field->name) <= FORM_MAX_NAME && strlen(field->value) <= FORM_MAX_VALUE);
	require(text_is_utf8(field->value) && !text_has_control(field->value));
	require(form_get(form, field->name) == field->value);
	html_add(&html, "%s", field->value);
	require(!html.failed && (!html.data || !strpbrk(html.data, "<>\"'")));
}

static void check_form(const struct form *form)
{
	_cleanup_(form_done) struct form again = { 0 };
	_cleanup_free_ char *text = NULL;
	const char *why = NULL;
	size_t len;

	require(form->n_fields <= FORM_MAX_FIELDS);
	for (size_t i = 0; i < form->n_fields; i++)
		check_field(form, i);
	text = write_form(form, &len);
	/* Escapes may make it longer than it came. */
	if (len > FORM_MAX_BYTES)
		return;
	require(form_parse(text, len, &again, &why) == 0 && again.n_fields == form->n_fields);
	for (size_t i = 0; i < form->n_fields; i++)
		require(strcmp(form_get(&again, form->fields[i].name), form->fields[i].value) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(form_done) struct form form = { 0 };
	const char *why = NULL;
	int r = form_parse((const char *)data, size, &form, &why);

	require(r == 0 || r == -EINVAL);
	if (r < 0)
		require(why && form.n_fields == 0 && !form.memory);
	else
		check_form(&form);
	return 0;
}
