#include <errno.h>
#include <string.h>

#include "agent/api/internal.h"

#define SHORT_TEXT_MAX 256

/* One field at a time: InvalidParameter has to name the one that is wrong. */
int api_read_params(struct varlink_call *call, const json_t *params,
		    const struct json_field *fields, size_t n_fields, void *target)
{
	const struct json_at root = { 0 };

	for (size_t i = 0; i < n_fields; i++) {
		_cleanup_(json_report_done) struct json_report rep = { 0 };
		int r = json_read_object(params, &root, &fields[i], 1, target, &rep);

		if (r == -EINVAL) {
			r = varlink_call_invalid_parameter(call, fields[i].name);
			return r < 0 ? r : API_ANSWERED;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int api_read_address(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	const char *text = json_string_value(v);

	if (!text || ip_addr_parse(text, target) < 0)
		return json_fail(rep, at, "no IP address");
	return 0;
}

int api_read_key(const json_t *v, const struct json_at *at, void *target, struct json_report *rep)
{
	const char *text = json_string_value(v);

	if (!text || wg_key_parse(text, target) < 0)
		return json_fail(rep, at, "no WireGuard key");
	return 0;
}

int api_read_port(const json_t *v, const struct json_at *at, void *target, struct json_report *rep)
{
	json_int_t port = json_integer_value(v);

	if (port < 1 || port > UINT16_MAX)
		return json_fail(rep, at, "no port, 1 to 65535");
	*(uint16_t *)target = (uint16_t)port;
	return 0;
}

int api_read_short_text(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep)
{
	if (json_string_length(v) > SHORT_TEXT_MAX)
		return json_fail(rep, at, "longer than %d bytes", SHORT_TEXT_MAX);
	return json_read_string(v, at, target, rep);
}

int api_read_first(struct varlink_call *call, const json_t *params, size_t *ret_first)
{
	static const struct json_field fields[] = {
		{ "first", json_read_u64, 0, JSON_NULLABLE },
	};
	uint64_t first = 0;
	int r;

	r = api_read_params(call, params, fields, ARRAY_SIZE(fields), &first);
	if (r == 0)
		*ret_first = first;
	return r;
}
