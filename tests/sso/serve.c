/*
 * A coordinator with something to see, for the browser of test_pages.py: the pages are the real
 * ones, on a store in memory. Listens on 127.0.0.1 at the port that is given, tells paths as
 * "NAME PATH" lines, and ends with its standard input. Each line in that asks for another check.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/registry/accounts.h"
#include "coord/registry/checks.h"
#include "tests/unit/web-fixture.h"

static const char policy[] =
	"// Who may reach what.\n"
	"{\n"
	"\t\"groups\": {\"group:ops\": [\"alice@example.com\"]},\n"
	"\t\"tagOwners\": {\"tag:prod\": [\"group:ops\"]},\n"
	"\t\"acls\": [\n"
	"\t\t{\"action\": \"accept\", \"src\": [\"group:ops\"], \"dst\": [\"tag:prod:22,443\"]},\n"
	"\t\t{\"action\": \"accept\", \"src\": [\"autogroup:member\"], \"dst\": "
	"[\"autogroup:self:*\"]},\n"
	"\t],\n"
	"\t\"ssh\": [\n"
	"\t\t{\"action\": \"check\", \"checkPeriod\": \"12h\", \"src\": [\"group:ops\"], \"dst\": "
	"[\"tag:prod\"], \"users\": [\"root\", \"autogroup:nonroot\"]},\n"
	"\t],\n"
	"}\n";

/* One that nobody comes back from. */
static void begin(void *userdata, const struct web_begin *request, web_begin_fn done,
		  void *done_userdata)
{
	done(-1, "The provider does not answer. Please try again later.", NULL, done_userdata);
}

static const struct web_provider providers[] = { { "corp", "Example Corp", false, NULL, begin } };

static void must(const struct coord_fix *coord, enum registry_code code)
{
	if (coord->result.code != code) {
		fprintf(stderr, "refused: %s\n", coord->result.text);
		exit(1);
	}
}

/* A node of alice's, or with this tag. Return: its id, in a static buffer. */
static const char *add_node(struct coord_fix *coord, const char *hostname, const char *tag)
{
	static struct http_reply reply;
	static char id[16];
	struct agent_fix agent = { 0 };
	const struct registry_authkey_request request = {
		.user = tag ? NULL : ALICE,
		.tags = { .items = (char **)&tag, .n = tag != NULL },
	};
	char key[WG_KEY_B64LEN], body[1024];

	registry_create_authkey(coord->registry, &fix_root, &request, fix_done, &coord->result);
	must(coord, REGISTRY_OK);
	agent_fix_init(coord, &agent);
	snprintf(body, sizeof(body),
		 "{\"version\":1,\"node_key\":\"%s\",\"hostname\":\"%s\",\"os\":\"Debian GNU/Linux "
		 "12 (bookworm)\",\"listen_port\":51820,\"ssh\":true,\"auth_key\":\"%s\"}",
		 wg_key_to_string(&agent.node_key, key), hostname, coord->result.secret);
	agent_fix_ask(coord, &agent, "/v1/enrol", body, &reply);
	agent_fix_done(&agent);
	snprintf(id, sizeof(id), "%s", registry_node_by_name(coord->registry, hostname)->head.id);
	return id;
}

/* A machine that asks to be let in. */
static void add_pending(struct coord_fix *coord, const char *name, const char *hostname)
{
	static struct http_reply reply;
	struct agent_fix agent = { 0 };
	char key[WG_KEY_B64LEN], body[512];
	const char *url;

	agent_fix_init(coord, &agent);
	snprintf(body, sizeof(body),
		 "{\"version\":1,\"node_key\":\"%s\",\"hostname\":\"%s\",\"os\":\"Debian GNU/Linux "
		 "12 (bookworm)\"}",
		 wg_key_to_string(&agent.node_key, key), hostname);
	agent_fix_ask(coord, &agent, "/v1/enrol", body, &reply);
	agent_fix_done(&agent);
	url = strstr(reply.text, "/a/");
	printf("%s %.*s\n", name, 29, url ? url : "");
}

static void add_check(struct coord_fix *coord, const char *name, const char *source,
		      const char *target, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char user[32];
		const struct registry_check_request request = {
			.source = source,
			.target = target,
			.ssh_user = user,
			.period_usec = FIX_HOUR,
		};

		snprintf(user, sizeof(user), i == 0 ? "root" : "worker%u", i);
		registry_ask_check(coord->registry, &fix_root, &request, fix_done, &coord->result);
		must(coord, REGISTRY_WAITING);
	}
	printf("%s /check/%.26s\n", name, coord->result.secret);
}

static void fill(struct coord_fix *coord)
{
	const unsigned admin = POLICY_ROLE_ADMIN;
	const struct registry_user_patch patch = { .name = "Alice", .roles = &admin }, none = { 0 };
	const struct registry_policy_request request = { .text = policy, .len = strlen(policy) };
	char laptop[16], desktop[16], server[16];

	registry_patch_user(coord->registry, &fix_root, ALICE, &patch, fix_done, &coord->result);
	must(coord, REGISTRY_OK);
	registry_add_user(coord->registry, &fix_root, BOB, &none, fix_done, &coord->result);
	must(coord, REGISTRY_OK);
	web_fix_password(coord, ALICE);
	web_fix_password(coord, BOB);
	registry_set_policy(coord->registry, &fix_root, &request, fix_done, &coord->result);
	must(coord, REGISTRY_OK);
	strcpy(laptop, add_node(coord, "laptop", NULL));
	strcpy(desktop,
	       add_node(coord, "a-host-with-a-name-as-long-as-they-may-be-on-a-narrow-phone",
			NULL));
	strcpy(server, add_node(coord, "db1", "tag:prod"));
	registry_expire_node(coord->registry, &fix_root, add_node(coord, "old-laptop", NULL),
			     fix_done, &coord->result);
	must(coord, REGISTRY_OK);
	printf("node /admin/nodes/%s\n", server);
	add_pending(coord, "enrol", "workstation");
	add_pending(coord, "enrol-no", "intruder");
	add_check(coord, "check", laptop, server, 1);
	add_check(coord, "check-many", desktop, server, 30);
	registry_create_pwlink(coord->registry, &fix_root, BOB, fix_done, &coord->result);
	must(coord, REGISTRY_OK);
	printf("set-password /set-password/%s\n", coord->result.secret);
}

static int on_input(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct coord_fix *coord = userdata;
	char line[64];

	if (read(fd, line, sizeof(line)) <= 0)
		return sd_event_exit(sd_event_source_get_event(source), 0);
	registry_forget_checks(coord->registry, &fix_root, ALICE, fix_done, &coord->result);
	add_check(coord, "another", registry_node_by_name(coord->registry, "laptop")->head.id,
		  registry_node_by_name(coord->registry, "db1")->head.id, 1);
	fflush(stdout);
	return 0;
}

int main(int argc, char *argv[])
{
	_cleanup_free_ char *url = NULL;
	struct coord_fix *coord;
	uint64_t port;

	if (argc < 2 || parse_u64(argv[1], UINT16_MAX, &port) < 0) {
		fprintf(stderr, "usage: serve PORT [provider]\n");
		return 2;
	}
	url = text_printf("http://127.0.0.1:%" PRIu64, port);
	coord_fix_url = url;
	coord_fix_port = (uint16_t)port;
	coord_fix_providers = providers;
	coord_fix_n_providers = argc > 2 ? ARRAY_SIZE(providers) : 0;
	coord_fix_setup((void **)&coord);
	fill(coord);
	fflush(stdout);
	sd_event_add_io(coord->http.event, NULL, STDIN_FILENO, EPOLLIN | EPOLLHUP, on_input, coord);
	sd_event_loop(coord->http.event);
	return coord_fix_teardown((void **)&coord);
}
