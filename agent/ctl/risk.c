#include "agent/ctl/risk.h"

#include <string.h>
#include <unistd.h>

#include "common/cli/cli.h"
#include "common/cli/value.h"

static bool has_pid(const struct risk_scene *scene, json_int_t pid)
{
	for (size_t i = 0; i < scene->n_pids; i++)
		if (scene->pids[i] == pid)
			return true;
	return false;
}

static bool is_address(const json_t *session, const char *key, const struct ip_addr *addr)
{
	const char *text = json_string_value(json_object_get(session, key));
	struct ip_addr own;

	return text && ip_addr_parse(text, &own) == 0 && ip_addr_equal(&own, addr);
}

/* Is the address one that this device has a connection from? */
static bool is_of_device(const json_t *sessions, const char *node_id, const struct ip_addr *addr)
{
	for (size_t i = 0; i < json_array_size(sessions); i++) {
		const json_t *session = json_array_get(sessions, i);

		if (strcmp(value_text(session, "nodeId"), node_id) == 0 &&
		    is_address(session, "address", addr))
			return true;
	}
	return false;
}

/* From this host to itself: what is before that cannot be seen. */
static bool is_own(const json_t *sessions, const struct ip_addr *addr)
{
	struct ip_addr v4, v6;
	struct ip_prefix loopback;

	if (ip_addr_parse("::1", &v6) == 0 && ip_addr_equal(&v6, addr))
		return true;
	if (ip_addr_parse("127.0.0.0", &v4) == 0) {
		loopback = (struct ip_prefix){ .addr = v4, .len = 8 };
		if (ip_prefix_contains(&loopback, addr))
			return true;
	}
	for (size_t i = 0; i < json_array_size(sessions); i++)
		if (is_address(json_array_get(sessions, i), "localAddress", addr))
			return true;
	return false;
}

enum risk risk_judge(const struct risk_scene *scene, const json_t *sessions, const json_t *session)
{
	const char *node_id = value_text(session, "nodeId");

	if (has_pid(scene, json_integer_value(json_object_get(session, "monitor"))))
		return RISK_CERTAIN;
	for (size_t i = 0; i < scene->n_addresses; i++)
		if (is_of_device(sessions, node_id, &scene->addresses[i]) ||
		    is_own(sessions, &scene->addresses[i]))
			return RISK_PERHAPS;
	return scene->blind ? RISK_PERHAPS : RISK_NONE;
}

int risk_ask(enum risk risk, int fd, FILE *out)
{
	const char *what =
		risk == RISK_CERTAIN
			? "This ends the SSH connection that you are working through."
			: "This may end the SSH connection that you are working through.";
	char answer[16] = "";
	ssize_t n;

	if (risk == RISK_NONE)
		return CLI_OK;
	if (!isatty(fd)) {
		fprintf(stderr,
			"agentctl: %s\nTo do it all the same, use --accept-risk=lose-ssh.\n", what);
		return CLI_NO;
	}
	fprintf(out, "%s\nGo on? [y/N] ", what);
	fflush(out);
	n = read(fd, answer, sizeof(answer) - 1);
	if (n > 0)
		answer[strcspn(answer, "\r\n")] = '\0';
	if (n > 0 && (strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0))
		return CLI_OK;
	fputs("Nothing was done.\n", out);
	return CLI_NO;
}
