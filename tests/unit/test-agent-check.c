/* peergate-agent --check: what it says of good and bad files, with and without a running agent. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/check.h"
#include "common/file.h"
#include "common/text.h"

#define KEY_1 "b25lMW9uZTFvbmUxb25lMW9uZTFvbmUxb25lMW9uZTE="
#define KEY_2 "dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI="

static const char good_map[] =
	"{\"type\": \"full\", \"version\": 1, \"for\": \"n1\", \"generation\": 7,\n"
	" \"self\": {\"id\": \"n1\", \"name\": \"server\", \"addresses\": [\"100.64.0.1\"]},\n"
	" \"mesh\": {\"domain\": \"mesh.example\", \"prefixes\": [\"100.64.0.0/10\"]},\n"
	" \"peers\": [{\"id\": \"n2\", \"name\": \"laptop\", \"addresses\": [\"100.64.0.2\"],\n"
	"   \"node_key\": \"" KEY_2 "\"}], \"packet_filter\": [], \"ssh_rules\": []}";

struct fixture {
	char dir[32];
	pid_t agent;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/test-check-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	*state = f;
	return 0;
}

static void stop_agent(struct fixture *f)
{
	_cleanup_free_ char *path = text_printf("%s/agent.sock", f->dir);

	kill(f->agent, SIGKILL);
	waitpid(f->agent, NULL, 0);
	unlink(path);
	f->agent = 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *command = text_printf("rm -rf %s", f->dir);

	if (f->agent > 0)
		stop_agent(f);
	free(f);
	return system(command);
}

static void put(const struct fixture *f, const char *name, const char *text)
{
	_cleanup_free_ char *path = text_printf("%s/%s", f->dir, name);

	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644), 0);
}

/* agent.conf with these lines after the map's. */
static void put_config(const struct fixture *f, const char *lines)
{
	_cleanup_free_ char *text = text_printf("Netmap=%s/map.json\n%s", f->dir, lines);

	put(f, "agent.conf", text);
}

/* Answer one call, whatever it is, with this. */
static void serve_once(int fd, const char *reply)
{
	char c = 'x';
	int conn = accept(fd, NULL, NULL);

	while (c != '\0' && read(conn, &c, 1) == 1)
		;
	if (write(conn, reply, strlen(reply) + 1) < 0)
		_exit(1);
	close(conn);
}

/* An agent that says this of itself. */
static void start_agent(struct fixture *f, const char *status)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_free_ char *reply = text_printf("{\"parameters\": %s}", status);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/agent.sock", f->dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 8), 0);
	f->agent = fork();
	assert_true(f->agent >= 0);
	if (f->agent == 0)
		for (;;)
			serve_once(fd, reply);
	close(fd);
}

/* The status and what was said, the directory left out. */
static char *check(const struct fixture *f, const char *config, bool required, int *ret_status)
{
	_cleanup_free_ char *path = text_printf("%s/%s", f->dir, config), *said = NULL;
	_cleanup_free_ char *socket_path = text_printf("%s/agent.sock", f->dir);
	const struct agent_check todo = {
		.config = path,
		.required = required,
		.socket = socket_path,
		.owner = getuid(),
	};
	size_t len, dir_len = strlen(f->dir) + 1;
	FILE *file = open_memstream(&said, &len);

	assert_non_null(file);
	*ret_status = agent_check_run(&todo, file, file);
	assert_int_equal(fclose(file), 0);
	for (char *at; (at = strstr(said, f->dir)) != NULL;)
		memmove(at, at + dir_len, strlen(at + dir_len) + 1);
	return strdup(said);
}

static void expect(const struct fixture *f, int status, const char *text)
{
	int got;
	_cleanup_free_ char *said = check(f, "agent.conf", true, &got);

	assert_string_equal(said, text);
	assert_int_equal(got, status);
}

static void test_good_without_agent(void **state)
{
	struct fixture *f = *state;

	put_config(f, "ListenPort=51821\n");
	put(f, "map.json", good_map);
	expect(f, 0,
	       "agent.conf: good\nmap.json: good (generation 7, 1 peer)\n"
	       "The agent is not running: there is nothing to compare with.\n");
}

static void test_bad_config(void **state)
{
	struct fixture *f = *state;

	put_config(f, "\nListenPort=0\n");
	expect(f, 1,
	       "agent.conf:3: ListenPort: \"0\" does not fit; expected a UDP port, 1 to 65535\n");
}

static void test_no_config(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *said = NULL;
	int status;

	expect(f, 1, "agent.conf: no such file\n");
	said = check(f, "agent.conf", false, &status);
	assert_int_equal(status, 0);
	assert_string_equal(said, "agent.conf: does not exist, the defaults hold\n"
				  "No Netmap=: the map comes from the coordinator that "
				  "'agentctl up' enrols this host with.\n"
				  "The agent is not running: there is nothing to compare with.\n");
}

static void test_bad_maps(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = text_printf("%s/map.json", f->dir);
	int status;
	char *said;

	put_config(f, "");
	said = check(f, "agent.conf", true, &status);
	assert_int_equal(status, 1);
	assert_non_null(strstr(said, "map.json: cannot be opened: No such file or directory\n"));
	free(said);

	put(f, "map.json", "{\"type\": \"full\",\n \"version\": 2}");
	said = check(f, "agent.conf", true, &status);
	assert_int_equal(status, 1);
	assert_non_null(strstr(said, "map.json: version: 2 needs a newer agent"));
	free(said);

	put(f, "map.json", good_map);
	assert_int_equal(chmod(path, 0666), 0);
	said = check(f, "agent.conf", true, &status);
	assert_int_equal(status, 1);
	assert_non_null(strstr(said, "map.json: may be written by others than its owner"));
	free(said);
}

/* The file is there, but cannot be watched: the agent would not start. */
static void test_path_with_dots(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = text_printf("Netmap=%s/./map.json\n", f->dir), *said = NULL;
	int status;

	put(f, "agent.conf", text);
	put(f, "map.json", good_map);
	said = check(f, "agent.conf", true, &status);
	assert_int_equal(status, 1);
	assert_non_null(strstr(said, "./map.json: is no plain path; expected an absolute one"));
}

/* Options as a running agent tells them: what is not given has its default. */
static char *options(const char *netmap, const char *proxy)
{
	return text_printf("{\"Netmap\": \"%s\", \"Coordinator\": \"\", \"CAFile\": \"\","
			   " \"Proxy\": \"%s\", \"InsecureHTTP\": \"no\", \"Endpoint\": \"\","
			   " \"Interface\": \"mesh0\", \"ListenPort\": \"51820\","
			   " \"FwMark\": \"0\", \"GatewayPort\": \"2022\", \"MaxMapAge\": \"0\","
			   " \"LogLevel\": \"info\"}",
			   netmap, proxy);
}

/* An agent with the map of this directory in force. */
static void start_agent_with_map(struct fixture *f, const char *key)
{
	_cleanup_free_ char *path = text_printf("%s/map.json", f->dir);
	_cleanup_free_ char *told = options(path, ""), *status = NULL;

	status = text_printf("{\"publicKey\": \"%s\", \"mapSource\": \"%s\","
			     " \"generation\": 7, \"options\": %s}",
			     key, path, told);
	start_agent(f, status);
}

static void test_against_a_running_agent(void **state)
{
	struct fixture *f = *state;

	start_agent_with_map(f, KEY_1);
	put_config(f, "");
	put(f, "map.json", good_map);
	expect(f, 0,
	       "agent.conf: good\nmap.json: good (generation 7, 1 peer)\n"
	       "The running agent has these options already.\n");
	put_config(f, "ListenPort=51821\nFwMark=9\nLogLevel=debug\nInterface=wg7\nGatewayPort=23\n"
		      "Coordinator=https://coord.example\nCAFile=/etc/ca.pem\nInsecureHTTP=yes\n"
		      "Proxy=http://proxy.example:3128\nMaxMapAge=36h\n"
		      "Endpoint=192.0.2.7:51820 [2001:db8::7]:1\n");
	expect(f, 0,
	       "agent.conf: good\nmap.json: good (generation 7, 1 peer)\n"
	       "The running agent has other options. With the next restart (systemctl restart\n"
	       "peergate-agent; sessions live on) these change:\n"
	       "  Coordinator: none -> https://coord.example\n  CAFile: none -> /etc/ca.pem\n"
	       "  Proxy: none -> http://proxy.example:3128\n  InsecureHTTP: no -> yes\n"
	       "  Endpoint: none -> 192.0.2.7:51820 [2001:db8::7]:1\n"
	       "  Interface: mesh0 -> wg7\n  ListenPort: 51820 -> 51821\n  FwMark: 0 -> 9\n"
	       "  GatewayPort: 2022 -> 23\n  MaxMapAge: 0 -> 36h\n  LogLevel: info -> debug\n");
}

/* What a proxy is told is told to nobody else: whether it is the same is not known. */
static void test_password_of_the_proxy(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *told = options("", "http://...@proxy.example:3128");
	_cleanup_free_ char *status = text_printf("{\"options\": %s}", told);
	static const char start[] = "agent.conf: good\nNo Netmap=: the map comes from the "
				    "coordinator that 'agentctl up' enrols this host with.\n";
	_cleanup_free_ char *same = NULL, *other = NULL;

	start_agent(f, status);
	put(f, "agent.conf", "Proxy=http://alice:secret@proxy.example:3128\n");
	same = text_printf("%sThe running agent has these options already, but for what it does "
			   "not tell: the name\nand password in Proxy=.\n",
			   start);
	expect(f, 0, same);
	put(f, "agent.conf", "Proxy=http://alice:secret@proxy.example:3128\nFwMark=1\n");
	other = text_printf("%sThe running agent has other options. With the next restart "
			    "(systemctl restart\npeergate-agent; sessions live on) these change:\n"
			    "  FwMark: 0 -> 1\n  Proxy: perhaps; name and password are not told\n",
			    start);
	expect(f, 0, other);
}

static void test_older_agent(void **state)
{
	struct fixture *f = *state;

	start_agent(f, "{\"options\": {\"ListenPort\": \"51820\"}}");
	put_config(f, "ListenPort=51821\n");
	put(f, "map.json", good_map);
	expect(f, 0,
	       "agent.conf: good\nmap.json: good (generation 7, 1 peer)\n"
	       "The running agent has other options. With the next restart (systemctl restart\n"
	       "peergate-agent; sessions live on) these change:\n"
	       "  ListenPort: 51820 -> 51821\n"
	       "The running agent is of another version, and does not tell all of its options.\n");
}

static void test_map_of_a_coordinator(void **state)
{
	static const struct {
		const char *link, *said;
	} cases[] = {
		{ "{\"coordinator\": \"https://coord.\\u001bexample\", \"nodeId\": \"n1\"}",
		  "No Netmap=: the map comes from the coordinator, https://coord.?example.\n" },
		{ "{\"coordinator\": \"https://coord.example\"}",
		  "No Netmap=: the map comes from a coordinator. This host is not enrolled: until\n"
		  "'agentctl up' has done that the mesh stays blocked.\n" },
	};
	struct fixture *f = *state;
	_cleanup_free_ char *told = options("", "");

	put(f, "agent.conf", "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *status = NULL, *said = NULL;

		status = text_printf("{\"mapSource\": \"https://coord.example\", \"generation\": 7,"
				     " \"link\": %s, \"options\": %s}",
				     cases[i].link, told);
		said = text_printf("agent.conf: good\n%sThe running agent has these options "
				   "already.\n",
				   cases[i].said);
		start_agent(f, status);
		expect(f, 0, said);
		stop_agent(f);
	}
}

static void test_maps_that_the_running_agent_refuses(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *older = strdup(good_map);

	start_agent_with_map(f, KEY_2);
	put_config(f, "");
	put(f, "map.json", good_map);
	expect(f, 1,
	       "agent.conf: good\n"
	       "map.json: peer laptop has this node's own key; expected a key of its own\n"
	       "The running agent has these options already.\n");
	*strchr(older, '7') = '6';
	put(f, "map.json", older);
	expect(f, 1,
	       "agent.conf: good\nmap.json: generation: 6 is older than 7, which is in force; "
	       "expected at least that\n"
	       "The running agent has these options already.\n");
}

/* Whoever sits at the socket: what it says is shown without what could move a cursor. */
static void test_hostile_agent(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *said = NULL;
	int status;

	start_agent(f, "{\"options\": {\"Interface\": \"\\u001b[2Jx\", \"LogLevel\": {}},"
		       " \"generation\": \"x\", \"mapSource\": null, \"publicKey\": \"x\"}");
	put_config(f, "");
	put(f, "map.json", good_map);
	said = check(f, "agent.conf", true, &status);
	assert_int_equal(status, 0);
	assert_non_null(strstr(said, "  Interface: ?[2Jx -> mesh0\n"));
}

#define CHECK_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK_TEST(test_good_without_agent),
		CHECK_TEST(test_bad_config),
		CHECK_TEST(test_no_config),
		CHECK_TEST(test_bad_maps),
		CHECK_TEST(test_path_with_dots),
		CHECK_TEST(test_against_a_running_agent),
		CHECK_TEST(test_password_of_the_proxy),
		CHECK_TEST(test_older_agent),
		CHECK_TEST(test_map_of_a_coordinator),
		CHECK_TEST(test_maps_that_the_running_agent_refuses),
		CHECK_TEST(test_hostile_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
