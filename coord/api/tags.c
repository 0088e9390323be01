#include "coord/api/tags.h"

#include "coord/registry/model.h"
#include "coord/registry/names.h"

static int read_tag(const json_t *v, const struct json_at *at, void *target,
		    struct json_report *rep)
{
	const char *tag = json_string_value(v);
	const char *problem = tag ? tag_problem(tag) : NULL;

	if (problem)
		return json_fail(rep, at, "\"%.80s\": %s", tag, problem);
	return json_read_string(v, at, target, rep);
}

int tags_read(const json_t *v, const struct json_at *at, void *target, struct json_report *rep)
{
	struct text_list *list = target;
	int r = json_read_array(v, at, RECORD_MAX_TAGS, sizeof(char *), read_tag, &list->items,
				&list->n, rep);

	if (r == 0)
		text_list_sort(list);
	return r;
}
