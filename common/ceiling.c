#include "common/ceiling.h"

#include <errno.h>
#include <string.h>

#include "common/conf.h"
#include "common/text.h"

#define SECOND 1000000ull
/* The listener has a descriptor for each, within the usual 1024, which logins should inherit. */
#define CEILING_MAX_CONNECTIONS	 800
#define CEILING_MAX_LEFT_RUNNING 150
/*
 * As many may be asked for, or refused, at once as fit into a channel between two processes before
 * the other side reads (common/chan.h): about 270 short messages.
 */
#define CEILING_MAX_FORWARDS 200

#define REKEY_MIN_BYTES (1ull << 20)
#define REKEY_MAX_BYTES (64ull << 30)
#define REKEY_MAX_USEC	(7 * 86400 * SECOND)

static int read_rekey_bytes(const char *value, uint64_t *ret_bytes)
{
	uint64_t bytes;

	if (strcmp(value, "default") == 0) {
		*ret_bytes = 0;
		return 0;
	}
	if (parse_size(value, &bytes) < 0 || bytes < REKEY_MIN_BYTES || bytes > REKEY_MAX_BYTES)
		return -EINVAL;
	*ret_bytes = bytes;
	return 0;
}

static int read_rekey_time(const char *value, uint64_t *ret_usec)
{
	uint64_t usec;

	if (strcmp(value, "none") == 0) {
		*ret_usec = 0;
		return 0;
	}
	if (parse_duration(value, &usec) < 0 || usec < SECOND || usec > REKEY_MAX_USEC)
		return -EINVAL;
	*ret_usec = usec;
	return 0;
}

/* As sshd_config(5) has it: a size, and perhaps a time. */
static int read_rekey(const struct conf_field *f, const char *value, void *target)
{
	struct rekey_limit limit = { 0 };
	char **words = NULL;
	int r = conf_read_strv(f, value, &words);

	if (r == 0)
		r = words[0] && (!words[1] || !words[2]) ? 0 : -EINVAL;
	if (r == 0)
		r = read_rekey_bytes(words[0], &limit.bytes);
	if (r == 0 && words[1])
		r = read_rekey_time(words[1], &limit.usec);
	conf_strv_free(words);
	if (r == 0)
		*(struct rekey_limit *)target = limit;
	return r;
}

static int read_path_or_none(const struct conf_field *f, const char *value, void *target)
{
	return strcmp(value, "none") == 0 ? conf_read_string(f, value, target)
					  : conf_read_path(f, value, target);
}

static int read_gateway_ports(const struct conf_field *f, const char *value, void *target)
{
	static const char *const words[] = {
		[GATEWAY_PORTS_NO] = "no",
		[GATEWAY_PORTS_CLIENT] = "clientspecified",
		[GATEWAY_PORTS_YES] = "yes",
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(value, words[i]) == 0) {
			*(enum gateway_ports *)target = (enum gateway_ports)i;
			return 0;
		}
	}
	return -EINVAL;
}

static const struct conf_field fields[] = {
	{ .name = "SSH",
	  .read = conf_read_bool,
	  .offset = offsetof(struct ceiling, ssh),
	  .expected = "yes or no" },
	{ .name = "PermitRootLogin",
	  .read = conf_read_bool,
	  .offset = offsetof(struct ceiling, permit_root),
	  .expected = "yes or no" },
	{ .name = "AllowUsers",
	  .read = conf_read_strv,
	  .offset = offsetof(struct ceiling, allow_users),
	  .expected = "account names separated by blanks" },
	{ .name = "DenyUsers",
	  .read = conf_read_strv,
	  .offset = offsetof(struct ceiling, deny_users),
	  .expected = "account names separated by blanks" },
	{ .name = "LoginGraceTime",
	  .read = conf_read_duration,
	  .offset = offsetof(struct ceiling, login_grace_usec),
	  .min = SECOND,
	  .max = 600 * SECOND,
	  .expected = "a time from 1s to 10m" },
	{ .name = "MaxAgentAbsence",
	  .read = conf_read_duration,
	  .offset = offsetof(struct ceiling, max_agent_absence_usec),
	  .min = SECOND,
	  .max = 7 * 86400 * SECOND,
	  .expected = "a time from 1s to 7d" },
	{ .name = "KeepaliveInterval",
	  .read = conf_read_duration,
	  .offset = offsetof(struct ceiling, keepalive_usec),
	  .min = SECOND,
	  .max = 6 * 3600 * SECOND,
	  .expected = "a time from 1s to 6h" },
	{ .name = "MaxPeerAbsence",
	  .read = conf_read_duration,
	  .offset = offsetof(struct ceiling, max_peer_absence_usec),
	  .min = 10 * SECOND,
	  .max = 7 * 86400 * SECOND,
	  .expected = "a time from 10s to 7d" },
	{ .name = "MaxConnections",
	  .read = conf_read_u64,
	  .offset = offsetof(struct ceiling, max_connections),
	  .min = 1,
	  .max = CEILING_MAX_CONNECTIONS,
	  .expected = "a number from 1 to 800" },
	{ .name = "MaxConnectionsPerPeer",
	  .read = conf_read_u64,
	  .offset = offsetof(struct ceiling, max_connections_per_peer),
	  .min = 1,
	  .max = CEILING_MAX_CONNECTIONS,
	  .expected = "a number from 1 to 800" },
	{ .name = "MaxUnauthenticated",
	  .read = conf_read_u64,
	  .offset = offsetof(struct ceiling, max_unauthenticated),
	  .min = 1,
	  .max = CEILING_MAX_CONNECTIONS,
	  .expected = "a number from 1 to 800" },
	{ .name = "MaxUnauthenticatedPerPeer",
	  .read = conf_read_u64,
	  .offset = offsetof(struct ceiling, max_unauthenticated_per_peer),
	  .min = 1,
	  .max = CEILING_MAX_CONNECTIONS,
	  .expected = "a number from 1 to 800" },
	{ .name = "PenaltyAfter",
	  .read = conf_read_u64,
	  .offset = offsetof(struct ceiling, penalty_after),
	  .min = 0,
	  .max = 10000,
	  .expected = "a number from 0 to 10000" },
	{ .name = "PenaltyTime",
	  .read = conf_read_duration,
	  .offset = offsetof(struct ceiling, penalty_usec),
	  .min = SECOND,
	  .max = 86400 * SECOND,
	  .expected = "a time from 1s to 1d" },
	{ .name = "MaxPenaltyTime",
	  .read = conf_read_duration,
	  .offset = offsetof(struct ceiling, max_penalty_usec),
	  .min = SECOND,
	  .max = 86400 * SECOND,
	  .expected = "a time from 1s to 1d" },
	{ .name = "MaxHeldLogins",
	  .read = conf_read_u64,
	  .offset = offsetof(struct ceiling, max_held),
	  .min = 0,
	  .max = CEILING_MAX_CONNECTIONS,
	  .expected = "a number from 0 to 800" },
	{ .name = "MaxHeldLoginsPerPeer",
	  .read = conf_read_u64,
	  .offset = offsetof(struct ceiling, max_held_per_peer),
	  .min = 0,
	  .max = CEILING_MAX_CONNECTIONS,
	  .expected = "a number from 0 to 800" },
	{ .name = "CheckTimeout",
	  .read = conf_read_duration,
	  .offset = offsetof(struct ceiling, check_timeout_usec),
	  .min = SECOND,
	  .max = 600 * SECOND,
	  .expected = "a time from 1s to 10m" },
	{ .name = "MaxLeftRunning",
	  .read = conf_read_u64,
	  .offset = offsetof(struct ceiling, max_left_running),
	  .min = 0,
	  .max = CEILING_MAX_LEFT_RUNNING,
	  .expected = "a number from 0 to 150" },
	{ .name = "MaxLeftRunningPerPeer",
	  .read = conf_read_u64,
	  .offset = offsetof(struct ceiling, max_left_running_per_peer),
	  .min = 0,
	  .max = CEILING_MAX_LEFT_RUNNING,
	  .expected = "a number from 0 to 150" },
	{ .name = "MaxSessions",
	  .read = conf_read_u64,
	  .offset = offsetof(struct ceiling, max_sessions),
	  .min = 1,
	  .max = 64,
	  .expected = "a number from 1 to 64" },
	{ .name = "MaxEnv",
	  .read = conf_read_u64,
	  .offset = offsetof(struct ceiling, max_env),
	  .min = 0,
	  .max = 64,
	  .expected = "a number from 0 to 64" },
	{ .name = "MaxForwards",
	  .read = conf_read_u64,
	  .offset = offsetof(struct ceiling, max_forwards),
	  .min = 0,
	  .max = CEILING_MAX_FORWARDS,
	  .expected = "a number from 0 to 200" },
	{ .name = "MaxListens",
	  .read = conf_read_u64,
	  .offset = offsetof(struct ceiling, max_listens),
	  .min = 0,
	  .max = CEILING_MAX_LISTENS,
	  .expected = "a number from 0 to 100" },
	{ .name = "GatewayPorts",
	  .read = read_gateway_ports,
	  .offset = offsetof(struct ceiling, gateway_ports),
	  .expected = "no, clientspecified or yes" },
	{ .name = "X11Forwarding",
	  .read = conf_read_bool,
	  .offset = offsetof(struct ceiling, x11_forwarding),
	  .expected = "yes or no" },
	{ .name = "RekeyLimit",
	  .read = read_rekey,
	  .offset = offsetof(struct ceiling, rekey),
	  .expected = "a size from 1M to 64G or \"default\", and perhaps a time from 1s to 7d or "
		      "\"none\"" },
	{ .name = "SftpServer",
	  .read = read_path_or_none,
	  .offset = offsetof(struct ceiling, sftp_server),
	  .expected = "an absolute path, or none" },
};

static const struct ceiling defaults = {
	.login_grace_usec = 60 * SECOND,
	.max_agent_absence_usec = 600 * SECOND,
	.keepalive_usec = 300 * SECOND,
	.max_peer_absence_usec = 12 * 3600 * SECOND,
	.max_connections = 500,
	.max_connections_per_peer = 100,
	.max_unauthenticated = 64,
	.max_unauthenticated_per_peer = 10,
	.penalty_after = 60,
	.penalty_usec = 10 * SECOND,
	.max_penalty_usec = 600 * SECOND,
	.max_held = 100,
	.max_held_per_peer = 10,
	.check_timeout_usec = 300 * SECOND,
	.max_left_running = 100,
	.max_left_running_per_peer = 20,
	.max_sessions = 10,
	.max_env = 32,
	.max_forwards = 100,
	.max_listens = 20,
	.x11_forwarding = true,
	/* RFC 4253 section 9 */
	.rekey = { .bytes = 1ull << 30, .usec = 3600 * SECOND },
};

void ceiling_default(struct ceiling *ret_ceiling)
{
	*ret_ceiling = defaults;
}

int ceiling_parse(const char *text, size_t len, const char *source, struct ceiling *ret_ceiling,
		  char **reterr_text)
{
	struct ceiling ceiling = defaults;
	int r;

	r = conf_parse(text, len, source, fields, ARRAY_SIZE(fields), &ceiling, reterr_text);
	if (r == 0 && ceiling.allow_users && !ceiling.allow_users[0]) {
		/* Nobody, or everybody? Somebody would guess wrong. */
		*reterr_text = text_printf("%s: AllowUsers: no account is named; expected one at "
					   "least, or no such line to allow all",
					   source);
		r = -EINVAL;
	}
	if (r < 0) {
		ceiling_done(&ceiling);
		return r;
	}
	*ret_ceiling = ceiling;
	return 0;
}

int ceiling_load(const char *path, struct ceiling *ret_ceiling, char **reterr_text)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = conf_read_file(path, 0, &text, &len, reterr_text);
	if (r == -ENOENT) {
		*ret_ceiling = defaults;
		return 0;
	}
	return r < 0 ? r : ceiling_parse(text, len, path, ret_ceiling, reterr_text);
}

void ceiling_done(struct ceiling *ceiling)
{
	ceiling->allow_users = conf_strv_free(ceiling->allow_users);
	ceiling->deny_users = conf_strv_free(ceiling->deny_users);
	free(take_ptr(ceiling->sftp_server));
}

static bool strv_contains(char **list, const char *word)
{
	for (; list && *list; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

const char *ceiling_refuses(const struct ceiling *ceiling, const char *account, uid_t uid)
{
	if (!ceiling->ssh)
		return "SSH is switched off on this host (SSH= in sshgw.conf)";
	if (uid == 0 && !ceiling->permit_root)
		return "this host does not let root log in (PermitRootLogin= in sshgw.conf)";
	if (strv_contains(ceiling->deny_users, account))
		return "this host refuses the account (DenyUsers= in sshgw.conf)";
	if (ceiling->allow_users && !strv_contains(ceiling->allow_users, account))
		return "this host does not list the account (AllowUsers= in sshgw.conf)";
	return NULL;
}
