#include "agent/filter/comment.h"

#include <stddef.h>

#include "agent/filter/table.h"
#include "common/text.h"

char *filter_comment(const char *text)
{
	char *clean = text_sanitize(text, FILTER_MAX_COMMENT);

	/* nft's strings know no escape for their quote. */
	for (char *c = clean; c && *c; c++)
		if (*c == '"')
			*c = '\'';
	return clean;
}
