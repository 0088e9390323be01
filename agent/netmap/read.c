#include "agent/netmap/read.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"

static bool is_id(const char *s)
{
	size_t len = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return len > 0 && len <= NETMAP_MAX_ID && s[len] == '\0';
}

int netmap_read_id(const json_t *v, const struct json_at *at, void *target, struct json_report *rep)
{
	int r = json_read_string(v, at, target, rep);

	if (r < 0 || is_id(*(char **)target))
		return r;
	return json_fail(rep, at,
			 "\"%s\" is no node id; expected 1 to %u of A-Z a-z 0-9 '.' '_' '-'",
			 *(char **)target, NETMAP_MAX_ID);
}

int netmap_check_word(const char *word, const struct json_at *at, struct json_report *rep)
{
	if (word[0] == '\0' || strlen(word) > NETMAP_MAX_TEXT)
		return json_fail(rep, at, "has %zu bytes; expected 1 to %u", strlen(word),
				 NETMAP_MAX_TEXT);
	if (text_has_control(word))
		return json_fail(rep, at, "\"%s\" holds a control character; none is allowed",
				 word);
	return 0;
}

int netmap_read_word(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	int r = json_read_string(v, at, target, rep);

	return r < 0 ? r : netmap_check_word(*(char **)target, at, rep);
}

int netmap_read_text(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	char **slot = target, *clean;

	if (!json_is_string(v))
		return json_fail_type(rep, at, "a string", v);
	clean = text_sanitize(json_string_value(v), NETMAP_MAX_TEXT);
	if (!clean)
		return -ENOMEM;
	free(*slot);
	*slot = clean;
	return 0;
}
