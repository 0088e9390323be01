/* Whether a kill would cut off the one who asks for it; with a /proc of files. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/ctl/risk.h"
#include "common/cleanup.h"
#include "common/cli/cli.h"
#include "common/text.h"

/*
 * Monitor 500 holds laptop's connection, monitor 600 another one of laptop's, monitor 700 phone's.
 * Each has a leader and a shell in a session scope.
 */
static const char sessions_text[] =
	"[{\"leaseId\":\"a\",\"nodeId\":\"n2\",\"address\":\"100.64.0.2\",\"localAddress\":"
	"\"100.64.0.1\",\"monitor\":500},"
	"{\"leaseId\":\"b\",\"nodeId\":\"n2\",\"address\":\"fd7a::2\",\"localAddress\":"
	"\"fd7a::1\",\"monitor\":600},"
	"{\"leaseId\":\"c\",\"nodeId\":\"n3\",\"address\":\"100.64.0.3\",\"localAddress\":"
	"\"100.64.0.1\",\"monitor\":700}]";

#define SCOPE(n) "0::/user.slice/user-0.slice/session-" #n ".scope\n"

struct process {
	int pid, parent;
	const char *cgroup;  /* NULL: hidden */
	const char *environ; /* NULL: not ours to read; "\1" stands for NUL */
};

static const struct process common[] = {
	{ 1, 0, "0::/init.scope\n", NULL },
	{ 400, 1, "0::/system.slice/peergate-sshgw.service\n", NULL },
	{ 500, 400, "0::/system.slice/peergate-sshgw.service\n", NULL },
	{ 501, 500, SCOPE(1), NULL }, /* leader */
	{ 502, 501, SCOPE(1), "HOME=/root\1SSH_CONNECTION=100.64.0.2 40000 100.64.0.1 22\1" },
	{ 600, 400, "0::/system.slice/peergate-sshgw.service\n", NULL },
	{ 601, 600, SCOPE(2), NULL },
	{ 602, 601, SCOPE(2), NULL },
	{ 700, 400, "0::/system.slice/peergate-sshgw.service\n", NULL },
	{ 701, 700, SCOPE(3), NULL },
};

static const struct risk_case {
	const char *what;
	struct process self, between; /* between.pid 0: none */
	const char *login_address;    /* of logind; NULL: none */
	enum risk risks[3];
} risk_cases[] = {
	{ "a child of the shell",
	  { 900, 502, SCOPE(1), "A=b\1" },
	  { 0 },
	  NULL,
	  { RISK_CERTAIN, RISK_PERHAPS, RISK_NONE } },
	{ "under sudo, which drops the environment and runs as another user",
	  { 900, 800, SCOPE(2), "" },
	  { 800, 602, SCOPE(2), NULL },
	  NULL,
	  { RISK_NONE, RISK_CERTAIN, RISK_NONE } },
	{ "the same, with what logind says",
	  { 900, 800, SCOPE(2), "" },
	  { 800, 602, SCOPE(2), NULL },
	  "fd7a::2",
	  { RISK_PERHAPS, RISK_CERTAIN, RISK_NONE } },
	{ "a daemon in the scope, which nobody is the parent of any more",
	  { 900, 1, SCOPE(1), "" },
	  { 0 },
	  NULL,
	  { RISK_CERTAIN, RISK_NONE, RISK_NONE } },
	{ "in a group below the scope",
	  { 900, 1, "0::/user.slice/user-0.slice/session-1.scope/below\n", "" },
	  { 0 },
	  NULL,
	  { RISK_CERTAIN, RISK_NONE, RISK_NONE } },
	{ "a terminal multiplexer outside, looked at through laptop's connection",
	  { 900, 1, "0::/user.slice/user-0.slice/user@0.service/tmux.scope\n",
	    "SSH_CONNECTION=fd7a::2 40001 fd7a::1 22\1" },
	  { 0 },
	  NULL,
	  { RISK_PERHAPS, RISK_PERHAPS, RISK_NONE } },
	{ "at the console",
	  { 900, 1, "0::/user.slice/user-0.slice/session-9.scope\n", "" },
	  { 0 },
	  NULL,
	  { RISK_NONE, RISK_NONE, RISK_NONE } },
	{ "from a timer",
	  { 900, 1, "0::/system.slice/backup.service\n", "" },
	  { 0 },
	  NULL,
	  { RISK_NONE, RISK_NONE, RISK_NONE } },
	{ "through sshd, from outside of the mesh",
	  { 900, 1, "0::/user.slice/user-0.slice/session-9.scope\n",
	    "SSH_CONNECTION=192.0.2.1 40001 192.0.2.9 22\1" },
	  { 0 },
	  "192.0.2.1",
	  { RISK_NONE, RISK_NONE, RISK_NONE } },
	{ "through sshd, from this host itself: what is before that cannot be seen",
	  { 900, 1, "0::/user.slice/user-0.slice/session-9.scope\n",
	    "SSH_CONNECTION=127.0.0.1 40001 127.0.0.1 22\1" },
	  { 0 },
	  NULL,
	  { RISK_PERHAPS, RISK_PERHAPS, RISK_PERHAPS } },
	{ "the same by its mesh address, known from logind only",
	  { 900, 1, "0::/user.slice/user-0.slice/session-9.scope\n", "" },
	  { 0 },
	  "100.64.0.1",
	  { RISK_PERHAPS, RISK_PERHAPS, RISK_PERHAPS } },
	{ "with a parent that is hidden",
	  { 900, 800, "0::/user.slice/user-0.slice/session-9.scope\n", "" },
	  { 0 },
	  NULL,
	  { RISK_PERHAPS, RISK_PERHAPS, RISK_PERHAPS } },
	{ "put into the process namespace from outside",
	  { 900, 800, "0::/init.scope\n", "" },
	  { 800, 0, "0::/init.scope\n", NULL },
	  NULL,
	  { RISK_NONE, RISK_NONE, RISK_NONE } },
	{ "with a name that looks like the end of one",
	  { 900, 502, SCOPE(9), "" },
	  { 0 },
	  NULL,
	  { RISK_CERTAIN, RISK_PERHAPS, RISK_NONE } },
};

static char dir[] = "/tmp/test-risk-XXXXXX";

static void make_dirs(char *path)
{
	for (char *c = path + strlen(dir) + 1; (c = strchr(c, '/')); c++) {
		*c = '\0';
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*c = '/';
	}
}

static void put_at(const char *where, const char *text, size_t len)
{
	_cleanup_free_ char *path = text_printf("%s/%s", dir, where);
	FILE *f;

	make_dirs(path);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static void add_to_group(const struct process *p)
{
	char group[128];
	_cleanup_free_ char *path = NULL;
	FILE *f;

	snprintf(group, sizeof(group), "%s", p->cgroup + strlen("0::/"));
	group[strcspn(group, "\n")] = '\0';
	path = text_printf("%s/cgroup/%s/cgroup.procs", dir, group);
	make_dirs(path);
	f = fopen(path, "ae");
	assert_non_null(f);
	fprintf(f, "%d\n", p->pid);
	fclose(f);
}

static void add_process(const struct process *p)
{
	_cleanup_free_ char *stat = text_printf("proc/%d/stat", p->pid);
	_cleanup_free_ char *cgroup = text_printf("proc/%d/cgroup", p->pid);
	_cleanup_free_ char *environ_file = text_printf("proc/%d/environ", p->pid);
	/* A process may call itself anything. */
	_cleanup_free_ char *text = text_printf("%d (x) S 1 ) S %d 1 1 0", p->pid, p->parent);

	put_at(stat, text, strlen(text));
	put_at(cgroup, p->cgroup, strlen(p->cgroup));
	if (p->environ) {
		_cleanup_free_ char *block = strdup(p->environ);
		size_t len = strlen(block);

		for (char *c = block; (c = strchr(c, '\1')); c++)
			*c = '\0';
		put_at(environ_file, block, len);
	}
	add_to_group(p);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void clean(void)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_world(const struct risk_case *c)
{
	clean();
	assert_int_equal(mkdir(dir, 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(common); i++)
		add_process(&common[i]);
	if (c->between.pid)
		add_process(&c->between);
	add_process(&c->self);
}

static void test_risks(void **state)
{
	_cleanup_free_ char *proc = text_printf("%s/proc", dir);
	_cleanup_free_ char *cgroup = text_printf("%s/cgroup", dir);
	const struct risk_places places = { proc, cgroup };
	json_auto_t *sessions = json_loads(sessions_text, 0, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(risk_cases); i++) {
		const struct risk_case *c = &risk_cases[i];
		struct risk_scene scene;

		print_message("%s\n", c->what);
		make_world(c);
		risk_scene_read(&places, c->self.pid, &scene);
		if (c->login_address)
			risk_scene_add_address(&scene, c->login_address);
		for (size_t k = 0; k < 3; k++)
			assert_int_equal(risk_judge(&scene, sessions, json_array_get(sessions, k)),
					 c->risks[k]);
	}
	clean();
}

/* Nothing there at all: nothing can be excluded. */
static void test_blind(void **state)
{
	const struct risk_places places = { "/nonexistent", "/nonexistent" };
	json_auto_t *sessions = json_loads(sessions_text, 0, NULL);
	struct risk_scene scene;

	risk_scene_read(&places, 4711, &scene);
	assert_int_equal(risk_judge(&scene, sessions, json_array_get(sessions, 2)), RISK_PERHAPS);
}

/* ---- asking ---- */

static int ask(enum risk risk, const char *typed, char **ret_shown)
{
	int master, slave, status;
	size_t len;
	FILE *out = open_memstream(ret_shown, &len);

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(write(master, typed, strlen(typed)), strlen(typed));
	status = risk_ask(risk, slave, out);
	fclose(out);
	close(master);
	close(slave);
	return status;
}

static void test_ask(void **state)
{
	static const struct {
		const char *typed;
		int status;
	} answers[] = {
		{ "y\n", CLI_OK },
		{ "Y\n", CLI_OK },
		{ "yes\n", CLI_OK },
		{ "\n", CLI_NO },
		{ "n\n", CLI_NO },
		{ "no\n", CLI_NO },
		{ "yess\n", CLI_NO },
		{ "\4", CLI_NO }, /* ^D */
		{ "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n", CLI_NO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		_cleanup_free_ char *shown = NULL;

		assert_int_equal(ask(RISK_CERTAIN, answers[i].typed, &shown), answers[i].status);
		assert_non_null(strstr(shown, "This ends the SSH connection that you are"));
	}
}

static void test_ask_or_not(void **state)
{
	_cleanup_free_ char *nothing = NULL, *perhaps = NULL;
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_equal(ask(RISK_NONE, "", &nothing), CLI_OK);
	assert_string_equal(nothing, "");
	assert_int_equal(ask(RISK_PERHAPS, "n\n", &perhaps), CLI_NO);
	assert_non_null(strstr(perhaps, "This may end the SSH connection that you are"));
	/* Without a terminal nobody can say yes. */
	assert_int_equal(risk_ask(RISK_PERHAPS, null, stdout), CLI_NO);
	assert_int_equal(risk_ask(RISK_NONE, null, stdout), CLI_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_risks),
		cmocka_unit_test(test_blind),
		cmocka_unit_test(test_ask),
		cmocka_unit_test(test_ask_or_not),
	};

	if (!mkdtemp(dir))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
