/*
 * Configuration files from anywhere: agent.conf and sshgw.conf, both from each input. What is
 * refused names the file and, of one line, the line; what is accepted is within its limits, and
 * reads the same when it is written out and read again.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "common/ceiling.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_refusal(const char *error)
{
	require(error && strncmp(error, "f:", 2) == 0 && strlen(error) > 3);
	require(!text_has_control(error) && text_is_utf8(error));
}

/* As lines of a file. */
static char *write_values(json_t *values)
{
	char *text = NULL;
	const char *name;
	json_t *value;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	require(f != NULL);
	json_object_foreach (values, name, value)
		/* An empty Netmap= is said by leaving it out. */
		if (json_string_length(value) > 0)
			fprintf(f, "%s=%s\n", name, json_string_value(value));
	fclose(f);
	return text;
}

static void check_agent_config(const struct agent_config *config)
{
	_cleanup_(agent_config_freep) struct agent_config *again = NULL;
	json_auto_t *values = agent_config_values(config), *values_again = NULL;
	_cleanup_free_ char *text = NULL, *error = NULL;

	require(values != NULL);
	require(!config->netmap || config->netmap[0] == '/');
	require(config->interface[0] && strlen(config->interface) < 16);
	require(config->listen_port >= 1 && config->listen_port <= UINT16_MAX);
	require(config->gateway_port >= 1 && config->gateway_port <= UINT16_MAX);
	require(config->fwmark <= UINT32_MAX);
	text = write_values(values);
	require(agent_config_parse(text, strlen(text), "f", &error, &again) == 0);
	values_again = agent_config_values(again);
	require(json_equal(values, values_again));
}

static void check_names(char *const *names)
{
	for (; names && *names; names++)
		require(**names && !text_has_control(*names) && !strpbrk(*names, " \t\r\n"));
}

static void check_ceiling(const struct ceiling *c)
{
	require(!c->allow_users || c->allow_users[0]);
	check_names(c->allow_users);
	check_names(c->deny_users);
	require(c->login_grace_usec > 0 && c->login_grace_usec <= 600000000u);
	require(c->max_agent_absence_usec > 0);
	require(c->max_connections > 0 && c->max_connections_per_peer > 0);
	require(c->max_unauthenticated > 0 && c->max_unauthenticated_per_peer > 0);
	require(!c->rekey.bytes || c->rekey.bytes >= 1u << 20);
	require(!c->sftp_server || c->sftp_server[0] == '/' || strcmp(c->sftp_server, "none") == 0);
	require(c->max_left_running > 0 && c->max_left_running_per_peer > 0);
	require(c->max_sessions > 0 && c->max_sessions <= 64 && c->max_env <= 64);
	require(c->max_forwards <= 200 && c->max_listens <= 100);
	require(c->gateway_ports <= GATEWAY_PORTS_YES);
	require(c->ssh || ceiling_refuses(c, "alice", 1000));
	require(c->permit_root || ceiling_refuses(c, "root", 0));
	for (char **name = c->deny_users; name && *name; name++)
		require(ceiling_refuses(c, *name, 1000));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(agent_config_freep) struct agent_config *config = NULL;
	_cleanup_free_ char *agent_error = NULL, *ceiling_error = NULL;
	struct ceiling ceiling;

	if (agent_config_parse((const char *)data, size, "f", &agent_error, &config) < 0)
		check_refusal(agent_error);
	else
		check_agent_config(config);
	if (ceiling_parse((const char *)data, size, "f", &ceiling, &ceiling_error) < 0) {
		check_refusal(ceiling_error);
		return 0;
	}
	check_ceiling(&ceiling);
	ceiling_done(&ceiling);
	return 0;
}
