/*
 * What coordctl makes of answers. Byte 0 chooses what is typed; then come the answers to what it
 * asks, with 0x1e between them: a first line "STATUS ETAG", and the body. Whatever is answered,
 * nothing reaches the terminal that is more than text, and nothing but an exit status comes of it.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/text_stream.h"
#include "coord/ctl/ctl.h"

#define MAX_INPUT 65536u
#define SEPARATOR 0x1e
#define PIECE	  61u /* bytes of a body that come at once */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_client_ask(struct client *client, const struct client_request *request,
		      char **reterr_text, struct client_reply *ret_reply);

static char folder[] = "/tmp/fuzz-coordctl-XXXXXX", policy_file[64], backup_file[64];

static const struct {
	const char *words[8];
	bool is_raw; /* hands on what it is given: a policy, metrics */
} lines[] = {
	{ { "status" } },
	{ { "users", "list" } },
	{ { "users", "add", "alice@example.com", "--name", "A \xc3\xa9", "--role", "admin" } },
	{ { "users", "delete", "alice@example.com" } },
	{ { "nodes", "list" } },
	{ { "nodes", "show", "web" } },
	{ { "nodes", "tag", "web", "tag:prod" } },
	{ { "nodes", "expire", "web" } },
	{ { "nodes", "set-expiry", "web", "30d" } },
	{ { "nodes", "approve", "ABCD-EFGH", "--user", "alice@example.com" } },
	{ { "auth", "list" } },
	{ { "auth", "reject", "ABCD-EFGH" } },
	{ { "authkeys", "list" } },
	{ { "authkeys", "create", "--tag", "tag:prod", "--expires", "7d" } },
	{ { "authkeys", "revoke", "k1" } },
	{ { "apikeys", "list" } },
	{ { "apikeys", "create", "--scope", "all" } },
	{ { "policy", "get" }, true },
	{ { "policy", "get", "--json" } },
	{ { "policy", "set", policy_file, "--if-version", "1", "--comment", "x" } },
	{ { "policy", "confirm" } },
	{ { "policy", "history" } },
	{ { "policy", "rollback", "1" } },
	{ { "policy", "check", policy_file } },
	{ { "policy", "test", policy_file } },
	{ { "policy", "diff", policy_file } },
	{ { "policy", "explain", "desk", "root@web" } },
	{ { "policy", "explain", policy_file, "desk", "web:22" } },
	{ { "policy", "compile", policy_file } },
	{ { "events" } },
	{ { "events", "--follow" } },
	{ { "events", "--json" } },
	{ { "debug", "map", "web" } },
	{ { "metrics" }, true },
	{ { "backup", backup_file } },
	{ { "status", "--json" } },
	{ { "users", "show", "alice@example.com" } },
	{ { "users", "password-link", "alice@example.com" } },
	{ { "users", "suspend", "alice@example.com" } },
	{ { "checks", "list" } },
	{ { "checks", "revoke", "alice@example.com" } },
};

static const char policy_text[] =
	"{\"acls\": [{\"action\": \"accept\", \"src\": [\"*\"], \"dst\": [\"*:*\"]}],\n"
	" \"ssh\": [{\"action\": \"check\", \"src\": [\"autogroup:member\"],\n"
	"          \"dst\": [\"autogroup:self\"], \"users\": [\"root\"]}]}\n";

/* Of the coordinator, that are still to come. */
static struct {
	const char *at, *end;
} answers;

/* Says which of them it was: what leads to abort() is one in the compiler's eyes. */
static void check_at(bool ok, int line)
{
	if (ok)
		return;
	fprintf(stderr, "check of line %d\n", line);
	abort();
}
#define check(ok) check_at((ok), __LINE__)

static void clean_up(void)
{
	unlink(policy_file);
	rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	FILE *f;

	check(mkdtemp(folder));
	snprintf(policy_file, sizeof(policy_file), "%s/policy", folder);
	snprintf(backup_file, sizeof(backup_file), "%s/backup", folder);
	f = fopen(policy_file, "we");
	check(f && fputs(policy_text, f) >= 0 && fclose(f) == 0);
	check(atexit(clean_up) == 0);
	json_watch_memory();
	return 0;
}

/* ---- in the place of the coordinator ---- */

static int give(const struct client_request *request, const char *body, size_t len)
{
	int r = 0;

	while (r == 0 && len > 0) {
		size_t n = len < PIECE ? len : PIECE;

		r = request->take(body, n, request->userdata);
		body += n;
		len -= n;
	}
	return r;
}

static void keep(struct client_reply *reply, const char *body, size_t len)
{
	reply->body = malloc(len + 1);
	check(reply->body);
	memcpy(reply->body, body, len);
	reply->body[len] = '\0';
	reply->len = len;
}

/* The next answer, if there is one. */
int __wrap_client_ask(struct client *client, const struct client_request *request,
		      char **reterr_text, struct client_reply *ret_reply)
{
	const char *at = answers.at, *end, *body;
	struct client_reply reply = { 0 };
	char line[300];
	int skip = 0, r = 0;

	check(request->path && request->method);
	if (!at || at == answers.end)
		return -EIO;
	end = memchr(at, SEPARATOR, (size_t)(answers.end - at));
	answers.at = end ? end + 1 : answers.end;
	end = end ? end : answers.end;
	body = memchr(at, '\n', (size_t)(end - at));
	body = body ? body + 1 : end;
	snprintf(line, sizeof(line), "%.*s", (int)(body - at), at);
	line[strcspn(line, "\r\n")] = '\0';
	if (sscanf(line, "%3u%n", &reply.status, &skip) != 1)
		return -EIO;
	if (line[skip] == ' ')
		check((reply.etag = strdup(line + skip + 1)));
	if (reply.status == 200 && request->take)
		r = give(request, body, (size_t)(end - body));
	else
		keep(&reply, body, (size_t)(end - body));
	if (r == 0 && !reply.body)
		keep(&reply, "", 0);
	if (r < 0)
		client_reply_done(&reply);
	else
		*ret_reply = reply;
	return r;
}

/* ---- in the place of the terminal ---- */

static void check_tame(const char *text, bool is_raw)
{
	for (; !is_raw && *text; text++)
		check(((unsigned char)*text >= 0x20 && *text != 0x7f) || *text == '\n');
}

static void run(size_t line)
{
	struct text_stream out, err;
	struct ctl ctl = {
		.server.socket = folder, /* it is there: somebody can be asked */
		.now_usec = UINT64_C(1800000000000000),
	};
	char *argv[ARRAY_SIZE(lines[0].words) + 2] = { (char *)"coordctl" };
	_cleanup_free_ char *out_text = NULL, *err_text = NULL;
	int argc = 1, status;

	for (; lines[line].words[argc - 1]; argc++)
		argv[argc] = (char *)lines[line].words[argc - 1];
	check(text_stream_open(&out) == 0 && text_stream_open(&err) == 0);
	ctl.out.file = out.file;
	ctl.err.file = err.file;
	/* As on a terminal, but for colours. */
	ctl.out.terminal = ctl.err.terminal = true;
	status = cli_run(&ctl_program, argc, argv, &ctl);
	client_free(ctl.client);
	out_text = text_stream_close(&out);
	err_text = text_stream_close(&err);
	check(out_text && err_text && status >= CLI_OK && status <= CTL_NO_ANSWER);
	check_tame(out_text, lines[line].is_raw);
	check_tame(err_text, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > MAX_INPUT)
		return 0;
	answers.at = (const char *)data + 1;
	answers.end = (const char *)data + size;
	run(data[0] % ARRAY_SIZE(lines));
	unlink(backup_file);
	return 0;
}
