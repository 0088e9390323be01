#include "common/query.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"

static const char unreserved[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

char *query_escape(const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *escaped = malloc(strlen(text) * 3 + 1), *out = escaped;

	if (!escaped)
		return NULL;
	for (const char *c = text; *c; c++) {
		if (strchr(unreserved, *c)) {
			*out++ = *c;
			continue;
		}
		*out++ = '%';
		*out++ = digits[(unsigned char)*c >> 4];
		*out++ = digits[(unsigned char)*c & 15];
	}
	*out = '\0';
	return escaped;
}

void query_add(struct query *query, const char *name, const char *value)
{
	char *escaped, *longer;

	if (!value || query->error)
		return;
	escaped = query_escape(value);
	longer = escaped ? text_printf("%s%s%s=%s", query->text ? query->text : "",
				       query->text ? "&" : "", name, escaped)
			 : NULL;
	/* Secrets go this way, too. */
	if (escaped)
		explicit_bzero(escaped, strlen(escaped));
	free(escaped);
	if (!longer) {
		query->error = -ENOMEM;
		return;
	}
	query_done(query);
	query->text = longer;
}

void query_done(struct query *query)
{
	if (query->text)
		explicit_bzero(query->text, strlen(query->text));
	free(query->text);
	*query = (struct query){ 0 };
}
