#include "coord/policy/duration.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *name;
	double usec;
} units[] = {
	/* The longer of two that begin alike comes first. */
	{ "ns", 1e-3 }, { "us", 1 },   { "\u00b5s", 1 }, { "\u03bcs", 1 },
	{ "ms", 1e3 },	{ "m", 60e6 }, { "s", 1e6 },	 { "h", 3600e6 },
};

static int parse_number(const char **text, double *ret_number)
{
	const char *p = *text;
	double number = 0, scale = 1;
	unsigned digits = 0;

	for (; *p >= '0' && *p <= '9'; p++, digits++)
		number = number * 10 + (*p - '0');
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, digits++)
			number += (*p - '0') * (scale /= 10);
	if (!digits || digits > 18)
		return -EINVAL;
	*text = p;
	*ret_number = number;
	return 0;
}

int duration_parse(const char *text, int64_t *ret_usec)
{
	bool negative = *text == '-';
	double total = 0, number;

	if (*text == '-' || *text == '+')
		text++;
	if (strcmp(text, "0") == 0) {
		*ret_usec = 0;
		return 0;
	}
	if (!*text)
		return -EINVAL;
	while (*text) {
		size_t i = 0;

		if (parse_number(&text, &number) < 0)
			return -EINVAL;
		while (i < ARRAY_SIZE(units) &&
		       strncmp(text, units[i].name, strlen(units[i].name)) != 0)
			i++;
		if (i == ARRAY_SIZE(units))
			return -EINVAL;
		text += strlen(units[i].name);
		total += number * units[i].usec;
	}
	if (total > 9e18)
		return -ERANGE;
	*ret_usec = (int64_t)(negative ? -total : total);
	return 0;
}

void duration_read(struct reader *rd, const struct hujson_value *v, const char *what,
		   uint64_t max_usec, uint64_t *target)
{
	const char *text = is_absent(v) ? NULL : read_string(rd, v, what);
	int64_t usec;

	if (!text)
		return;
	if (duration_parse(text, &usec) < 0 || usec < 1000000 || (uint64_t)usec > max_usec)
		read_error(rd, v->at,
			   "%s: \"%.60s\" is no duration from one second up; write \"15m\" or "
			   "\"8h\"",
			   what, text);
	else
		*target = (uint64_t)usec;
}
