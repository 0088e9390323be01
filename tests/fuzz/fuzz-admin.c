/*
 * Requests of those who look after the mesh, of root on the unix socket: through HTTP, handlers and
 * registry into a store in memory. The input is a few requests with 0x1e between them, each
 *
 *	PUT policy?comment=x
 *	If-Match: "1-..."
 *	{...}
 *
 * of which the second line may be absent. What has random names is called @node, @code, @authkey,
 * @apikey in paths. Whatever is asked is answered, and never by 500; what is refused changes
 * nothing; and what was accepted another coordinator can read.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "common/text.h"
#include "common/text_stream.h"
#include "tests/unit/coord-fixture.h"

#define MAX_INPUT      16384u
#define MAX_REQUESTS   4u
#define MAX_HEAD       2048u
#define MAX_PARAMETERS 64u
#define SEPARATOR      0x1e
#define IF_MATCH       "If-Match: "

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char first_policy[] =
	"{\"groups\": {\"group:ops\": [\"alice@example.com\"]},\n"
	" \"tagOwners\": {\"tag:prod\": [\"group:ops\"]},\n"
	" \"acls\": [{\"action\": \"accept\", \"src\": [\"group:ops\"], \"dst\": [\"*:*\"]}],\n"
	" \"ssh\": [{\"action\": \"accept\", \"src\": [\"group:ops\"],\n"
	"          \"dst\": [\"autogroup:self\"], \"users\": [\"root\"]}]}\n";

static struct {
	struct coord_fix *coord; /* NULL: to be made */
	struct sockaddr_un addr;
	socklen_t addr_len;
	char node[16], code[16], authkey[64], apikey[64];
	uint64_t revision; /* when it was new */
} world;

/* Says which of them it was: what leads to abort() is one in the compiler's eyes. */
static void check_at(bool ok, int line)
{
	if (ok)
		return;
	fprintf(stderr, "check of line %d\n", line);
	abort();
}
#define check(ok) check_at((ok), __LINE__)

static void drop_line(void *userdata, int level, const char *text)
{
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	log_set_sink(drop_line, NULL);
	coord_fix_tick_usec = 0;
	return 0;
}

/* ---- the world ---- */

static void enrol(unsigned number, const char *name, const char *auth_key)
{
	struct coord_fix *coord = world.coord;
	struct registry_enrolment enrolment = {
		.machine = fix_machine_key(number),
		.key = fix_node_key(number),
		.facts = { .hostname = (char *)name, .os = (char *)"Debian", .ssh = true },
		.auth_key = auth_key,
	};

	check(ip_addr_parse("192.0.2.7", &enrolment.from) == 0);
	registry_enrol(coord->registry, &fix_root, &enrolment, fix_done, &coord->result);
	check(coord->result.code == (auth_key ? REGISTRY_OK : REGISTRY_WAITING));
}

static void fill(void)
{
	const struct registry_apikey_request apikey = { .scopes = SCOPE_ALL };
	const struct registry_policy_request policy = { .text = first_policy,
							.len = strlen(first_policy) };
	struct coord_fix *coord = world.coord;

	enrol(1, "web", coord_fix_authkey(coord));
	snprintf(world.node, sizeof(world.node), "%s", coord->result.node);
	enrol(2, "desk", coord_fix_authkey(coord));
	enrol(3, "newcomer", NULL);
	snprintf(world.code, sizeof(world.code), "%s", coord->result.code_text);
	(void)coord_fix_authkey(coord);
	snprintf(world.authkey, sizeof(world.authkey), "%s", coord->result.id);
	registry_create_apikey(coord->registry, &fix_root, &apikey, fix_done, &coord->result);
	snprintf(world.apikey, sizeof(world.apikey), "%s", coord->result.id);
	registry_set_policy(coord->registry, &fix_root, &policy, fix_done, &coord->result);
	check(coord->result.code == REGISTRY_OK);
	world.revision = registry_revision(coord->registry);
}

static void make_world(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char *error = NULL;

	check(coord_fix_setup_then((void **)&world.coord) == 0);
	world.addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	world.addr_len = sizeof(world.addr);
	check(bind(fd, (struct sockaddr *)&world.addr, sizeof(sa_family_t)) == 0 &&
	      getsockname(fd, (struct sockaddr *)&world.addr, &world.addr_len) == 0 &&
	      listen(fd, 1) == 0);
	check(http_server_listen_fd(world.coord->http.server, fd, NULL, &error) == 0);
	fill();
}

static void on_ready(int status, const char *text, void *userdata)
{
	bool *ready = userdata;

	check(status == 0);
	*ready = true;
}

static void on_problem(const char *text, void *userdata)
{
	check(false);
}

/* As after a restart: all that the store holds is fit for another registry. */
static void read_again(void)
{
	const struct registry_config config = { .coordinator_key = "pgc:coordinator" };
	struct coord_fix *coord = world.coord;
	struct registry *other = NULL;
	bool ready = false;

	check(registry_new(coord->store, coord->http.event, fix_time, &config, on_ready, on_problem,
			   &ready, &other) == 0);
	while (!ready)
		check(sd_event_run(coord->http.event, 0) > 0);
	check(registry_n_nodes(other) == registry_n_nodes(coord->registry));
	check(registry_n_users(other) == registry_n_users(coord->registry));
	check(registry_policy_current(other)->version ==
	      registry_policy_current(coord->registry)->version);
	registry_free(other);
}

/* ---- a request ---- */

static const struct {
	const char *word, *text;
} words[] = {
	{ "@node", world.node },
	{ "@code", world.code },
	{ "@authkey", world.authkey },
	{ "@apikey", world.apikey },
};

/* Up to the end of the line; *text goes behind it. */
static size_t take_line(const char **text, const char *end)
{
	const char *lf = memchr(*text, '\n', (size_t)(end - *text));
	size_t len = (size_t)((lf ? lf : end) - *text);

	*text = lf ? lf + 1 : end;
	return len;
}

/* Can stand in the head of a request, and be answered: what cannot is for fuzz-http. */
static bool is_fit(const char *line, size_t len)
{
	unsigned n_parameters = 0;

	for (size_t i = 0; i < len; i++) {
		n_parameters += line[i] == '&';
		if (line[i] < 0x20 || line[i] > 0x7e)
			return false;
	}
	return len > 0 && len < MAX_HEAD && n_parameters < MAX_PARAMETERS;
}

static void print_target(const char *at, size_t len, FILE *out)
{
	const char *end = at + len;

	while (at < end) {
		size_t n = 0;

		for (size_t i = 0; n == 0 && i < ARRAY_SIZE(words); i++) {
			n = strlen(words[i].word);
			if ((size_t)(end - at) < n || memcmp(at, words[i].word, n) != 0)
				n = 0;
			else
				fputs(words[i].text, out);
		}
		if (n == 0)
			fputc(*at, out);
		at += n > 0 ? n : 1;
	}
}

/* The request as it goes over the socket; NULL: it cannot. */
static char *make_request(const char *text, const char *end, size_t *ret_len)
{
	const char *line = text, *space;
	size_t len = take_line(&text, end);
	struct text_stream out;

	space = memchr(line, ' ', len);
	if (!is_fit(line, len) || !space || space == line ||
	    memchr(space + 1, ' ', len - (size_t)(space + 1 - line)))
		return NULL;
	check(text_stream_open(&out) == 0);
	fprintf(out.file, "%.*s /v1/admin/", (int)(space - line), line);
	print_target(space + 1, len - (size_t)(space + 1 - line), out.file);
	fputs(" HTTP/1.1\r\nHost: c\r\nConnection: close\r\n", out.file);
	line = text;
	len = take_line(&text, end);
	if (len > strlen(IF_MATCH) && is_fit(line, len) &&
	    memcmp(line, IF_MATCH, strlen(IF_MATCH)) == 0)
		fprintf(out.file, "%.*s\r\n", (int)len, line);
	else
		text = line;
	fprintf(out.file, "Content-Length: %zu\r\n\r\n", (size_t)(end - text));
	fwrite(text, 1, (size_t)(end - text), out.file);
	check(fflush(out.file) == 0);
	*ret_len = out.len;
	return text_stream_close(&out);
}

/* ---- its answer ---- */

static bool is_endless(const struct http_reply *reply)
{
	return strstr(reply->text, "\r\nTransfer-Encoding: chunked\r\n");
}

/*
 * Until the connection ends; a stream, which may be one that does not, as long as there is
 * something to do. One that is larger than the buffer is not waited for.
 */
static void receive(int fd, struct http_reply *reply)
{
	sd_event *event = world.coord->http.event;

	for (;;) {
		int r = sd_event_run(event, is_endless(reply) ? 0 : 1000000);

		check(r >= 0);
		http_fixture_take(fd, reply);
		if (reply->end || reply->len == sizeof(reply->text) - 1)
			return;
		if (r == 0 && is_endless(reply))
			return;
		check(r > 0);
	}
}

static void check_answer(const struct http_reply *reply, bool head, uint64_t before)
{
	const char *body = http_reply_body(reply);
	json_auto_t *json = NULL;
	unsigned status = 0;

	check(sscanf(reply->text, "HTTP/1.1 %u", &status) == 1);
	check(status >= 200 && status < 500);
	if (status >= 400)
		check(registry_revision(world.coord->registry) == before);
	if (is_endless(reply) || !strstr(reply->text, "\r\nContent-Type: application/json\r\n"))
		return;
	if (!reply->end || head)
		return;
	json = json_loads(body, 0, NULL);
	check(json_is_object(json));
	if (status >= 400) {
		const json_t *error = json_object_get(json, "error");

		check(json_is_string(json_object_get(error, "code")) &&
		      json_is_string(json_object_get(error, "message")));
	}
}

static void ask(const char *text, const char *end)
{
	static struct http_reply reply;
	uint64_t before = registry_revision(world.coord->registry);
	size_t len;
	_cleanup_free_ char *request = make_request(text, end, &len);
	int fd;

	if (!request)
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	check(fd >= 0 && connect(fd, (struct sockaddr *)&world.addr, world.addr_len) == 0);
	/* What does not fit the socket is refused before it has to be there. */
	(void)send(fd, request, len, MSG_NOSIGNAL);
	reply.len = 0;
	reply.text[0] = '\0';
	reply.end = reply.reset = false;
	receive(fd, &reply);
	close(fd);
	while (sd_event_run(world.coord->http.event, 0) > 0)
		;
	check_answer(&reply, strncmp(request, "HEAD ", 5) == 0, before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = text + size;

	if (size > MAX_INPUT)
		return 0;
	if (!world.coord)
		make_world();
	for (unsigned n = 0; n < MAX_REQUESTS && text < end; n++) {
		const char *next = memchr(text, SEPARATOR, (size_t)(end - text));

		ask(text, next ? next : end);
		text = next ? next + 1 : end;
	}
	if (registry_revision(world.coord->registry) == world.revision)
		return 0;
	/* The next one finds all as it was. */
	read_again();
	check(coord_fix_teardown((void **)&world.coord) == 0);
	world.coord = NULL;
	return 0;
}
