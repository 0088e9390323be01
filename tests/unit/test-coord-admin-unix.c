/* The coordinator's unix socket: who asks there, and backups. */
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/listen.h"
#include "common/text.h"
#include "coord/api/admin.h"
#include "tests/unit/admin-fixture.h"

static void listen_unix_socket(struct coord_fix *coord, char *path, size_t size)
{
	_cleanup_free_ char *error = NULL;
	int fd;

	snprintf(path, size, "%s/admin.sock", coord->folder);
	assert_int_equal(listen_unix(path, 0666, &error, &fd), 0);
	assert_int_equal(http_server_listen_fd(coord->http.server, fd, NULL, &error), 0);
	/* Whoever connects as somebody else has to get there. */
	assert_int_equal(chmod(coord->folder, 0711), 0);
}

static int connect_unix(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static unsigned ask_unix(struct coord_fix *coord, int fd, const char *method, const char *path,
			 const char *body)
{
	_cleanup_free_ char *text = admin_request_text(method, path, "", body);

	return http_fixture_exchange(&coord->http, fd, text, &admin_reply);
}

/* A socket that was connected by somebody with these ids. */
static int connect_as(const char *path, uid_t uid, gid_t gid, gid_t supplementary)
{
	int fd, r;

	/* Of this thread alone, and only for the connection: its credentials are those of then. */
	assert_int_equal(setgroups(1, &supplementary), 0);
	assert_int_equal(setresgid(gid, gid, 0), 0);
	assert_int_equal(setresuid(uid, uid, 0), 0);
	fd = connect_unix(path);
	r = setresuid(0, 0, 0) | setresgid(0, 0, 0);
	assert_int_equal(r, 0);
	assert_int_equal(setgroups(0, NULL), 0);
	return fd;
}

#define ADMINS 4242u

static void test_peers_of_the_socket(void **state)
{
	static const struct {
		uid_t uid;
		gid_t gid, supplementary;
		unsigned status;
	} cases[] = {
		{ 65534, 65534, 65534, 403 },
		{ 65534, ADMINS, 65534, 200 },
		{ 65534, 65534, ADMINS, 200 },
		{ 65534, 0, 0, 403 },
		{ 0, 0, 0, 200 },
	};
	struct coord_fix *coord = *state;
	char path[128];

	if (geteuid() != 0)
		skip();
	listen_unix_socket(coord, path, sizeof(path));
	coord->api->admin_group = ADMINS;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = connect_as(path, cases[i].uid, cases[i].gid, cases[i].supplementary);

		assert_int_equal(ask_unix(coord, fd, "GET", "users", ""), cases[i].status);
		close(fd);
	}
	/* Without such a group nobody but root may. */
	coord->api->admin_group = (gid_t)-1;
	for (size_t i = 0; i < 3; i++) {
		int fd = connect_as(path, 65534, (gid_t)-2, 65534);

		assert_refused(ask_unix(coord, fd, "GET", "users", ""), 403, "not-allowed",
			       "AdminGroup=");
		close(fd);
	}
	unlink(path);
}

/* The events say who did it. */
static void test_who_is_named(void **state)
{
	struct coord_fix *coord = *state;
	char path[128];
	int fd;

	if (geteuid() != 0)
		skip();
	listen_unix_socket(coord, path, sizeof(path));
	coord->api->admin_group = ADMINS;
	fd = connect_as(path, 65534, ADMINS, ADMINS);
	assert_ok(ask_unix(coord, fd, "POST", "users", "{\"login\":\"x@example.com\"}"));
	close(fd);
	fd = connect_as(path, 54321, ADMINS, ADMINS);
	assert_ok(ask_unix(coord, fd, "POST", "users", "{\"login\":\"y@example.com\"}"));
	close(fd);
	fd = connect_unix(path);
	assert_ok(ask_unix(coord, fd, "POST", "users", "{\"login\":\"z@example.com\"}"));
	assert_int_equal(ask_unix(coord, fd, "GET", "events", ""), 200);
	close(fd);
	assert_non_null(strstr(admin_reply.text,
			       "\"actor\":\"unix:nobody\",\"from\":\"unix\",\"action\":"
			       "\"user.add\",\"object\":\"x@example.com\""));
	assert_non_null(strstr(admin_reply.text,
			       "\"actor\":\"unix:54321\",\"from\":\"unix\",\"action\":"
			       "\"user.add\",\"object\":\"y@example.com\""));
	assert_non_null(strstr(admin_reply.text, "\"actor\":\"root\",\"from\":\"unix\",\"action\":"
						 "\"user.add\",\"object\":\"z@example.com\""));
	unlink(path);
}

static void test_backup(void **state)
{
	struct coord_fix *coord = *state;
	char path[128];
	int fd;

	if (geteuid() != 0)
		skip();
	listen_unix_socket(coord, path, sizeof(path));
	coord->api->admin_group = ADMINS;
	fd = connect_as(path, 65534, ADMINS, ADMINS);
	assert_refused(ask_unix(coord, fd, "GET", "backup", ""), 403, "not-allowed", "root");
	close(fd);
	fd = connect_unix(path);
	http_fixture_send(fd, "GET /v1/admin/backup HTTP/1.0\r\n\r\n");
	admin_reply = (struct http_reply){ 0 };
	http_fixture_receive(&coord->http, fd, NULL, &admin_reply);
	close(fd);
	assert_non_null(strstr(admin_reply.text, "200 OK"));
	assert_string_equal(http_reply_body(&admin_reply), "SQLite format 3");
	assert_true(admin_reply.len > 4096);
	assert_false(coord->api->is_backing_up);
	unlink(path);
}

/* So much that the copy takes many steps. */
static void fill_store(struct coord_fix *coord)
{
	const size_t len = 500000;
	_cleanup_free_ char *text = malloc(len);
	const struct registry_policy_request request = { .text = text, .len = len };

	assert_non_null(text);
	memset(text, ' ', len);
	memcpy(text, "{}", 2);
	for (unsigned i = 0; i < 40; i++) {
		memcpy(text + 3, i % 2 ? "//x\n" : "//y\n", 4);
		registry_set_policy(coord->registry, &fix_root, &request, fix_done, &coord->result);
		assert_int_equal(coord->result.code, REGISTRY_OK);
	}
}

/* Others are answered while the copy is made; and it ends when nobody waits for it any more. */
static void test_backup_takes_its_time(void **state)
{
	struct coord_fix *coord = *state;
	_cleanup_free_ char *copy = NULL;
	char socket_path[128], byte;
	int fds[2];

	if (geteuid() != 0)
		skip();
	listen_unix_socket(coord, socket_path, sizeof(socket_path));
	fill_store(coord);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = connect_unix(socket_path);
	http_fixture_send(fds[0], "GET /v1/admin/backup HTTP/1.0\r\n\r\n");
	http_fixture_wait(&coord->http, coord->api->is_backing_up);
	assert_refused(ask_unix(coord, fds[1], "GET", "backup", ""), 409, "conflict", "another");
	/* It is being put together still: nothing is sent before that. */
	copy = text_printf("%s/backup.db", coord->folder);
	assert_int_equal(access(copy, F_OK), 0);
	assert_int_equal(recv(fds[0], &byte, 1, 0), -1);
	close(fds[0]);
	close(fds[1]);
	/* At once, not when the copy is complete, of which there are twenty steps. */
	for (unsigned i = 0; i < 8; i++)
		assert_true(sd_event_run(coord->http.event, 0) >= 0);
	assert_false(coord->api->is_backing_up);
	assert_int_equal(http_fixture_stats(&coord->http).streams_total, 0);
	assert_int_equal(access(copy, F_OK), -1);
	unlink(socket_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ADMIN_TEST(test_peers_of_the_socket, admin_set_up),
		ADMIN_TEST(test_who_is_named, admin_set_up),
		ADMIN_TEST(test_backup, admin_set_up),
		ADMIN_TEST(test_backup_takes_its_time, admin_set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
