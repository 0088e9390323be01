#include "agent/api/warnings.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "agent/api/internal.h"
#include "common/text.h"

#define KEY_EXPIRY_SOON_USEC (7 * 24 * 3600 * UINT64_C(1000000))

int warning_add(json_t *warnings, const char *code, const char *fmt, ...)
{
	_cleanup_free_ char *message = NULL;
	va_list ap;

	va_start(ap, fmt);
	message = text_vprintf(fmt, ap);
	va_end(ap);
	if (!message)
		return -ENOMEM;
	return json_array_append_new(warnings,
				     json_pack("{s:s, s:s}", "code", code, "message", message)) < 0
		       ? -ENOMEM
		       : 0;
}

/* They refuse, which may not be what was meant by "allow". */
static int warn_actions(const struct netmap *map, json_t *warnings)
{
	const struct ssh_rule *first = NULL;
	size_t n = 0;

	for (size_t i = 0; i < map->n_ssh_rules; i++) {
		const struct ssh_rule *rule = &map->ssh_rules[i];

		if (rule->action != SSH_ACTION_REJECT || strcmp(rule->action_text, "reject") == 0)
			continue;
		if (n++ == 0)
			first = rule;
	}
	if (n == 0)
		return 0;
	return warning_add(warnings, "ssh-action",
			   "%zu SSH rule%s an action that is not known here (ssh_rules[%zu]: "
			   "\"%s\"): refused; known are accept, check and reject",
			   n, n == 1 ? " has" : "s have", (size_t)(first - map->ssh_rules),
			   first->action_text);
}

static int warn_ssh(const struct netmap *map, const struct api_digest *digest, bool can_check,
		    json_t *warnings)
{
	int r = 0;

	if (!map->self.ssh)
		return 0;
	if (digest->n_admitting == 0)
		r = warning_add(warnings, "ssh-nobody",
				"SSH is on, but no SSH rule lets anybody in");
	if (r == 0 && digest->n_unreachable > 0)
		r = warning_add(
			warnings, "ssh-unreachable",
			"%zu SSH rule%s peers that no packet filter rule lets through to tcp/22 "
			"(see agentctl ssh-policy show)",
			digest->n_unreachable, digest->n_unreachable == 1 ? " names" : "s name");
	if (r == 0 && digest->n_checks > 0 && !can_check)
		r = warning_add(warnings, "ssh-check",
				"%zu SSH rule%s for a check, which takes a coordinator: refused",
				digest->n_checks, digest->n_checks == 1 ? " asks" : "s ask");
	if (r == 0 && digest->n_recorders > 0)
		r = warning_add(warnings, "ssh-recorder",
				"%zu SSH rule%s for recording, which cannot be done here: refused",
				digest->n_recorders, digest->n_recorders == 1 ? " asks" : "s ask");
	return r < 0 ? r : warn_actions(map, warnings);
}

static int warn_key(const struct netmap *map, uint64_t now_usec, json_t *warnings)
{
	uint64_t expiry = map->self.key_expiry;
	char when[21];

	if (expiry <= now_usec)
		return warning_add(warnings, "key-expired",
				   "the key of this host expired on %s: peers turn it away; "
				   "'agentctl login' gets a new one",
				   format_rfc3339(expiry, when, sizeof(when)));
	/* Before its time: somebody has ended it. */
	if (map->self.key_expired)
		return warning_add(
			warnings, "key-expired",
			"the key of this host is not valid any more: peers turn it away; "
			"'agentctl login' gets a new one");
	if (expiry - now_usec < KEY_EXPIRY_SOON_USEC)
		return warning_add(warnings, "key-expires", "the key of this host expires on %s",
				   format_rfc3339(expiry, when, sizeof(when)));
	return 0;
}

int api_map_warnings(const struct netmap *map, uint64_t now_usec, const struct api_digest *digest,
		     bool can_check, json_t *warnings)
{
	int r = warn_key(map, now_usec, warnings);

	return r < 0 ? r : warn_ssh(map, digest, can_check, warnings);
}

json_t *map_warnings(const struct netmap *map, uint64_t now_usec)
{
	json_auto_t *warnings = json_array();
	struct api_digest digest = { 0 };
	int r = warnings ? 0 : -ENOMEM;

	if (r == 0)
		r = api_digest_make(map, now_usec, &digest);
	if (r == 0)
		r = api_map_warnings(map, now_usec, &digest, false, warnings);
	api_digest_done(&digest);
	return r < 0 ? NULL : take_ptr(warnings);
}
