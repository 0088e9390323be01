/* Readers of configuration values. */
#include "common/conf.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <syslog.h>

#include "common/text.h"

#define BLANKS " \t"

char **conf_strv_free(char **list)
{
	for (char **word = list; word && *word; word++)
		free(*word);
	free(list);
	return NULL;
}

int conf_read_bool(const struct conf_field *f, const char *value, void *target)
{
	return parse_bool(value, target);
}

static int store_in_range(const struct conf_field *f, uint64_t value, void *target)
{
	if (value < f->min || value > f->max)
		return -EINVAL;
	*(uint64_t *)target = value;
	return 0;
}

int conf_read_u64(const struct conf_field *f, const char *value, void *target)
{
	uint64_t number;

	if (parse_u64(value, UINT64_MAX, &number) < 0)
		return -EINVAL;
	return store_in_range(f, number, target);
}

int conf_read_duration(const struct conf_field *f, const char *value, void *target)
{
	uint64_t usec;

	if (parse_duration(value, &usec) < 0)
		return -EINVAL;
	return store_in_range(f, usec, target);
}

int conf_read_string(const struct conf_field *f, const char *value, void *target)
{
	char **slot = target, *copy;

	if (value[0] == '\0' || !text_is_utf8(value) || text_has_control(value))
		return -EINVAL;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*slot);
	*slot = copy;
	return 0;
}

int conf_read_path(const struct conf_field *f, const char *value, void *target)
{
	return value[0] == '/' ? conf_read_string(f, value, target) : -EINVAL;
}

static size_t count_words(const char *value)
{
	size_t n = 0;

	while (*(value += strspn(value, BLANKS))) {
		value += strcspn(value, BLANKS);
		n++;
	}
	return n;
}

int conf_read_strv(const struct conf_field *f, const char *value, void *target)
{
	char ***slot = target, **list;
	size_t n = count_words(value);

	if (!text_is_utf8(value))
		return -EINVAL;
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		value += strspn(value, BLANKS);
		list[i] = strndup(value, strcspn(value, BLANKS));
		if (!list[i] || text_has_control(list[i])) {
			int r = list[i] ? -EINVAL : -ENOMEM;

			conf_strv_free(list);
			return r;
		}
		value += strcspn(value, BLANKS);
	}
	conf_strv_free(*slot);
	*slot = list;
	return 0;
}

static const struct {
	const char *name;
	int level;
} levels[] = {
	{ "error", LOG_ERR }, { "warning", LOG_WARNING }, { "notice", LOG_NOTICE },
	{ "info", LOG_INFO }, { "debug", LOG_DEBUG },
};

int conf_read_log_level(const struct conf_field *f, const char *value, void *target)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (strcmp(levels[i].name, value) == 0) {
			*(int *)target = levels[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

const char *conf_log_level_to_string(int level)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (levels[i].level == level)
			return levels[i].name;
	return "";
}
