#include "common/cli/format.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/cleanup.h"

char *cli_format_bytes(uint64_t bytes, char *buf)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	uint64_t whole = bytes, tenths = 0;
	size_t unit = 0;

	while (whole >= 1000 && unit + 1 < ARRAY_SIZE(units)) {
		tenths = whole % 1000 / 100;
		whole /= 1000;
		unit++;
	}
	if (unit > 0 && whole < 10)
		snprintf(buf, CLI_FORMAT_LEN, "%" PRIu64 ".%" PRIu64 " %s", whole, tenths,
			 units[unit]);
	else
		snprintf(buf, CLI_FORMAT_LEN, "%" PRIu64 " %s", whole, units[unit]);
	return buf;
}

static char *format_two(uint64_t big, const char *big_unit, uint64_t small, const char *small_unit,
			char *buf)
{
	if (small > 0)
		snprintf(buf, CLI_FORMAT_LEN, "%" PRIu64 " %s %" PRIu64 " %s", big, big_unit, small,
			 small_unit);
	else
		snprintf(buf, CLI_FORMAT_LEN, "%" PRIu64 " %s", big, big_unit);
	return buf;
}

char *cli_format_span(uint64_t usec, char *buf)
{
	uint64_t s = usec / 1000000, min = s / 60, h = min / 60, d = h / 24;

	if (d > 0)
		return format_two(d, "d", d < 7 ? h % 24 : 0, "h", buf);
	if (h > 0)
		return format_two(h, "h", min % 60, "min", buf);
	if (min > 0)
		return format_two(min, "min", 0, "", buf);
	return format_two(s, "s", 0, "", buf);
}

char *cli_format_relative(uint64_t usec, uint64_t now_usec, char *buf)
{
	char span[CLI_FORMAT_LEN];

	if (usec / 1000000 == now_usec / 1000000)
		snprintf(buf, CLI_FORMAT_LEN, "now");
	else if (usec < now_usec)
		snprintf(buf, CLI_FORMAT_LEN, "%.26s ago", cli_format_span(now_usec - usec, span));
	else
		snprintf(buf, CLI_FORMAT_LEN, "in %.26s", cli_format_span(usec - now_usec, span));
	return buf;
}
