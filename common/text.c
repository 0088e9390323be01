#include "common/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

/*
 * Decode one character (RFC 3629). Return: bytes used and *ret_cp; 0 when the bytes are no
 * valid character. Stops at the final NUL by itself, since NUL is no continuation byte.
 */
static size_t utf8_decode(const char *text, uint32_t *ret_cp)
{
	const uint8_t *s = (const uint8_t *)text;
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t cp;
	size_t n;

	if (s[0] < 0x80) {
		*ret_cp = s[0];
		return 1;
	}
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	cp = s[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (s[i] & 0x3f);
	}
	if (cp < smallest[n] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	*ret_cp = cp;
	return n;
}

static bool is_control(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 || cp == 0x2029 ||
	       (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
}

bool text_is_utf8(const char *s)
{
	uint32_t cp;

	while (*s) {
		size_t n = utf8_decode(s, &cp);

		if (n == 0)
			return false;
		s += n;
	}
	return true;
}

bool text_has_control(const char *s)
{
	while (*s) {
		uint32_t cp = 0;
		size_t n = utf8_decode(s, &cp);

		if (n > 0 && is_control(cp))
			return true;
		s += n > 0 ? n : 1;
	}
	return false;
}

char *text_sanitize(const char *s, size_t max)
{
	size_t len = strnlen(s, max);
	char *out = malloc(len + 1), *p = out;

	if (!out)
		return NULL;
	for (const char *end = s + len; s < end;) {
		uint32_t cp = 0;
		size_t n = utf8_decode(s, &cp);

		if (n > (size_t)(end - s))
			break;
		if (n == 0 || is_control(cp))
			*p++ = '?';
		else
			p = mempcpy(p, s, n);
		s += n > 0 ? n : 1;
	}
	*p = '\0';
	return out;
}

/* Length of the label at s, 0 when there is none. */
static size_t label_length(const char *s)
{
	size_t n = 0;

	while ((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= '0' && s[n] <= '9') || s[n] == '-')
		n++;
	if (n == 0 || n > 63 || s[0] == '-' || s[n - 1] == '-')
		return 0;
	return n;
}

bool text_is_label(const char *s)
{
	size_t n = label_length(s);

	return n > 0 && s[n] == '\0';
}

bool text_is_domain(const char *s)
{
	if (strlen(s) > 253)
		return false;
	for (;;) {
		size_t n = label_length(s);

		if (n == 0)
			return false;
		if (s[n] == '\0')
			return true;
		if (s[n] != '.')
			return false;
		s += n + 1;
	}
}

char *text_vprintf(const char *fmt, va_list ap)
{
	char *text;

	/* On failure vasprintf(3) leaves anything there. */
	return vasprintf(&text, fmt, ap) < 0 ? NULL : text;
}

char *text_printf(const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	return text;
}

int parse_u64(const char *s, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (*s == '\0')
		return -EINVAL;
	for (; *s; s++) {
		if (!isdigit((unsigned char)*s))
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value))
			return -ERANGE;
	}
	if (value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int parse_bool(const char *s, bool *ret_value)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcasecmp(s, yes[i]) == 0 || strcasecmp(s, no[i]) == 0) {
			*ret_value = strcasecmp(s, yes[i]) == 0;
			return 0;
		}
	}
	return -EINVAL;
}

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* A number and one of the suffixes. Return: 0, -EINVAL, -ERANGE. */
static int parse_scaled(const char *s, const struct unit *units, size_t n, uint64_t *ret_value)
{
	size_t digits = strspn(s, "0123456789");
	char number[21];
	uint64_t value;
	int r;

	if (digits == 0 || digits >= sizeof(number))
		return -EINVAL;
	memcpy(number, s, digits);
	number[digits] = '\0';
	for (size_t i = 0; i < n; i++) {
		if (strcmp(s + digits, units[i].suffix) != 0)
			continue;
		r = parse_u64(number, UINT64_MAX, &value);
		if (r < 0)
			return r;
		if (__builtin_mul_overflow(value, units[i].factor, &value))
			return -ERANGE;
		*ret_value = value;
		return 0;
	}
	return -EINVAL;
}

int parse_duration(const char *s, uint64_t *ret_usec)
{
	static const struct unit units[] = {
		{ "", 1000000 },
		{ "ms", 1000 },
		{ "s", 1000000 },
		{ "m", 60 * 1000000ull },
		{ "h", 3600 * 1000000ull },
		{ "d", 86400 * 1000000ull },
	};

	return parse_scaled(s, units, ARRAY_SIZE(units), ret_usec);
}

int parse_size(const char *s, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "K", 1ull << 10 },
		{ "M", 1ull << 20 },
		{ "G", 1ull << 30 },
	};

	return parse_scaled(s, units, ARRAY_SIZE(units), ret_bytes);
}

/* Exactly n digits. Return: the value, -1. */
static int fixed_digits(const char **s, int n)
{
	int value = 0;

	for (; n > 0; n--, (*s)++) {
		if (!isdigit((unsigned char)**s))
			return -1;
		value = value * 10 + (**s - '0');
	}
	return value;
}

static bool skip_char(const char **s, const char *set)
{
	if (!**s || !strchr(set, **s))
		return false;
	(*s)++;
	return true;
}

/* ".123456": digits beyond microseconds are dropped. */
static int parse_fraction(const char **s, uint64_t *ret_usec)
{
	uint64_t usec = 0;
	int n = 0;

	*ret_usec = 0;
	if (!skip_char(s, "."))
		return 0;
	for (; isdigit((unsigned char)**s); (*s)++, n++)
		if (n < 6)
			usec = usec * 10 + (uint64_t)(**s - '0');
	if (n == 0)
		return -EINVAL;
	for (; n < 6; n++)
		usec *= 10;
	*ret_usec = usec;
	return 0;
}

/* "Z" or "+hh:mm": seconds east of UTC. */
static int parse_offset(const char **s, int *ret_seconds)
{
	int sign, hours, minutes;

	*ret_seconds = 0;
	if (skip_char(s, "Zz"))
		return 0;
	sign = **s == '-' ? -1 : 1;
	if (!skip_char(s, "+-"))
		return -EINVAL;
	hours = fixed_digits(s, 2);
	if (hours < 0 || hours > 23 || !skip_char(s, ":"))
		return -EINVAL;
	minutes = fixed_digits(s, 2);
	if (minutes < 0 || minutes > 59)
		return -EINVAL;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return 0;
}

static int parse_date_time(const char **s, struct tm *ret_tm)
{
	struct tm tm = { 0 };

	tm.tm_year = fixed_digits(s, 4) - 1900;
	if (tm.tm_year < 70 || !skip_char(s, "-"))
		return -EINVAL;
	tm.tm_mon = fixed_digits(s, 2) - 1;
	if (tm.tm_mon < 0 || tm.tm_mon > 11 || !skip_char(s, "-"))
		return -EINVAL;
	tm.tm_mday = fixed_digits(s, 2);
	if (tm.tm_mday < 1 || tm.tm_mday > 31 || !skip_char(s, "Tt "))
		return -EINVAL;
	tm.tm_hour = fixed_digits(s, 2);
	if (tm.tm_hour < 0 || tm.tm_hour > 23 || !skip_char(s, ":"))
		return -EINVAL;
	tm.tm_min = fixed_digits(s, 2);
	if (tm.tm_min < 0 || tm.tm_min > 59 || !skip_char(s, ":"))
		return -EINVAL;
	tm.tm_sec = fixed_digits(s, 2);
	if (tm.tm_sec < 0 || tm.tm_sec > 60)
		return -EINVAL;
	*ret_tm = tm;
	return 0;
}

int parse_rfc3339(const char *s, uint64_t *ret_usec)
{
	struct tm tm, normal;
	uint64_t fraction;
	int offset;
	time_t t;

	if (parse_date_time(&s, &tm) < 0 || parse_fraction(&s, &fraction) < 0 ||
	    parse_offset(&s, &offset) < 0 || *s)
		return -EINVAL;
	normal = tm;
	normal.tm_sec = 0;
	t = timegm(&normal) + tm.tm_sec;
	/* 30 February becomes 2 March in timegm(): refuse it instead. */
	if (normal.tm_mday != tm.tm_mday)
		return -EINVAL;
	if (t < offset)
		return -EINVAL;
	*ret_usec = (uint64_t)(t - offset) * 1000000 + fraction;
	return 0;
}

char *format_rfc3339(uint64_t usec, char *buf, size_t len)
{
	time_t t = (time_t)(usec / 1000000);
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(buf, len, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		buf[0] = '\0';
	return buf;
}

const char *text_plural(size_t n)
{
	return n == 1 ? "" : "s";
}
