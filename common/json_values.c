#include "common/json_values.h"

#include <errno.h>
#include <string.h>

#include "common/host_key.h"
#include "common/ip.h"
#include "common/text.h"
#include "common/wgkey.h"

/* The text of a string value; NULL: it is none, and that is reported in *ret. */
static const char *string_of(const json_t *v, const struct json_at *at, const char *wanted,
			     struct json_report *rep, int *ret)
{
	if (json_is_string(v))
		return json_string_value(v);
	*ret = json_fail_type(rep, at, wanted, v);
	return NULL;
}

int json_read_label(const json_t *v, const struct json_at *at, void *target,
		    struct json_report *rep)
{
	int r = json_read_string(v, at, target, rep);
	const char *name = *(char **)target;

	if (r < 0)
		return r;
	if (!text_is_label(name))
		return json_fail(rep, at,
				 "\"%s\" is no host name; expected one label of a-z 0-9 and inner "
				 "'-', 63 bytes at most",
				 name);
	/* Its host key would stand for whatever listens on the user's own loopback. */
	if (strcmp(name, "localhost") == 0)
		return json_fail(rep, at,
				 "\"localhost\" is every host's name for itself; expected another");
	return 0;
}

int json_read_domain(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	int r = json_read_string(v, at, target, rep);

	/* Under a domain of one label, "com", a node "github" would be "github.com". */
	if (r < 0 || (text_is_domain(*(char **)target) && strchr(*(char **)target, '.')))
		return r;
	return json_fail(rep, at,
			 "\"%s\" is no domain of a mesh; expected two lower-case labels or more, "
			 "joined by dots, such as \"mesh.example\"",
			 *(char **)target);
}

int json_read_address(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	const char *text;
	int r = 0;

	text = string_of(v, at, "an address such as \"100.64.0.1\"", rep, &r);
	if (!text || ip_addr_parse(text, target) == 0)
		return r;
	return json_fail(rep, at, "\"%s\" is no address; expected one such as \"100.64.0.1\"",
			 text);
}

int json_read_prefix(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	const char *text;
	int r = 0;

	text = string_of(v, at, "a prefix such as \"10.1.0.0/16\"", rep, &r);
	if (!text || ip_prefix_parse(text, target) == 0)
		return r;
	return json_fail(rep, at,
			 "\"%s\" is no prefix; expected one such as \"10.1.0.0/16\", its host bits "
			 "zero",
			 text);
}

int json_read_endpoint(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	struct ip_endpoint *ep = target;
	const char *text;
	int r = 0;

	text = string_of(v, at, "an endpoint such as \"192.0.2.7:51820\"", rep, &r);
	if (!text || ip_endpoint_parse(text, ep) == 0)
		return r;
	return json_fail(rep, at,
			 "\"%s\" is no endpoint; expected one such as \"192.0.2.7:51820\" or "
			 "\"[2001:db8::7]:51820\"",
			 text);
}

int json_read_wg_key(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	struct wg_key *key = target;
	const char *text;
	int r = 0;

	text = string_of(v, at, "a public key in base64", rep, &r);
	if (!text)
		return r;
	if (wg_key_parse(text, key) < 0)
		return json_fail(rep, at,
				 "\"%s\" is no WireGuard key; expected 44 characters of base64, as "
				 "wg(8) prints them",
				 text);
	if (wg_key_is_zero(key))
		return json_fail(rep, at, "is the zero key; expected the peer's public key");
	return 0;
}

int json_read_host_key(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	const char *problem = NULL;
	int r = json_read_string(v, at, target, rep);

	if (r < 0)
		return r;
	r = host_key_check(*(char **)target, &problem);
	if (r == -EINVAL)
		return json_fail(rep, at, "%s; expected \"TYPE BASE64\" as in ssh_host_*_key.pub",
				 problem);
	return r;
}

int json_read_u16(const json_t *v, const struct json_at *at, void *target, struct json_report *rep)
{
	uint64_t value;
	int r = json_read_u64(v, at, &value, rep);

	if (r < 0)
		return r;
	if (value > UINT16_MAX)
		return json_fail(rep, at, "%llu is too large; expected 0 to 65535",
				 (unsigned long long)value);
	*(uint16_t *)target = (uint16_t)value;
	return 0;
}
