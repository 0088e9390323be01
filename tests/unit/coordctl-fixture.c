#include "tests/unit/coordctl-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/json.h"
#include "common/listen.h"
#include "common/text.h"
#include "coord/api/internal.h"
#include "coord/registry/accounts.h"
#include "coord/registry/checks.h"
#include "tests/unit/certificate.h"
#include "tests/unit/coord-fixture.h"

static void enrol(struct coord_fix *coord, unsigned number, const char *name, const char *auth_key)
{
	struct registry_enrolment enrolment = {
		.machine = fix_machine_key(number),
		.key = fix_node_key(number),
		.facts = { .hostname = (char *)name,
			   .os = (char *)"Debian GNU/Linux 12",
			   .listen_port = 51820,
			   .ssh = number == 1 },
		.auth_key = auth_key,
	};

	assert_int_equal(ip_addr_parse("192.0.2.7", &enrolment.from), 0);
	registry_enrol(coord->registry, &fix_root, &enrolment, fix_done, &coord->result);
	assert_int_equal(coord->result.code, auth_key ? REGISTRY_OK : REGISTRY_WAITING);
}

static const struct registry_mapping mappings[] = {
	{ (char *)"https://idp.example", (char *)"ops", (char *)"group:ops" },
	{ (char *)"https://idp.example",
	  (char *)"All \xc2\xab"
		  "Dev\xc2\xbb",
	  (char *)"group:dev" },
};

static void sign_in(struct coord_fix *coord)
{
	const struct registry_identity identity = {
		.issuer = "https://idp.example",
		.subject = "7",
		.email = "alice@example.com",
		.groups = { .items = (char *[]){ (char *)"ops" }, .n = 1 },
	};
	struct registry_session_request request = {
		.user = "alice@example.com",
		.method = "oidc:corp",
		.strength = AUTH_MAX_AGE,
		.auth_time = FIX_START,
		.agent = "Firefox",
	};

	registry_sign_in_identity(coord->registry, &fix_root, &identity, false, fix_done,
				  &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	assert_int_equal(ip_addr_parse("192.0.2.7", &request.from), 0);
	registry_open_session(coord->registry, &fix_root, &request, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
}

/* Of the last one that was asked for. */
static char check_id[32];

static void on_check(const struct registry_result *result, void *userdata)
{
	assert_int_equal(result->code, REGISTRY_WAITING);
	snprintf(check_id, sizeof(check_id), "%s", result->checkreq->head.id);
}

static void ask_for_check(struct coord_fix *coord, const char *user)
{
	const struct registry_check_request request = {
		.source = registry_node_by_name(coord->registry, "desk")->head.id,
		.target = registry_node_by_name(coord->registry, "web")->head.id,
		.ssh_user = user,
	};

	registry_ask_check(coord->registry, &fix_root, &request, on_check, NULL);
}

/* One that was answered, and one that is not. */
static void check_somebody(struct coord_fix *coord)
{
	const struct registry_actor alice = { .who = "alice@example.com",
					      .from = "192.0.2.9",
					      .login = "alice@example.com" };
	const struct registry_check_answer answer = {
		.approve = true,
		.method = "password+totp",
		.strength = AUTH_MAX_AGE,
		.auth_time = FIX_START,
		.n_logins = 1,
	};

	ask_for_check(coord, "root");
	registry_answer_check(coord->registry, &alice, check_id, &answer, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	ask_for_check(coord, "root");
	ask_for_check(coord, "alice");
}

static int on_parent_gone(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

#define KEY	 ".key.pem"
#define READY_FD 3
#define KEEP_FD	 4

/* Also over the network, with TLS: beside the socket are the certificate, and the ports in a file.
 */
static void listen_tls(struct coord_fix *coord, const char *socket)
{
	_cleanup_free_ char *cert = text_printf("%s" CERT, socket), *error = NULL;
	_cleanup_free_ char *key = text_printf("%s" KEY, socket);
	_cleanup_free_ char *path = text_printf("%s" PORTS, socket), *text = NULL;
	const struct http_tls_files files = { cert, key };
	struct ip_endpoint endpoint = coord->http.endpoint;

	certificate_make("coordinator", "IP:127.0.0.1", cert, key);
	endpoint.port = 0;
	assert_int_equal(http_server_listen(coord->http.server, &endpoint, &files, &error), 0);
	assert_int_equal(http_server_endpoint(coord->http.server, 2, &endpoint), 0);
	text = text_printf("%u %u\n", endpoint.port, coord->http.endpoint.port);
	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, strlen(text), 0600), 0);
}

/* In a program of its own: whatever fails there is none of cmocka's business here. */
int coordctl_serve(const char *path)
{
	_cleanup_free_ char *error = NULL;
	struct coord_fix *coord;
	int fd;

	fix_mappings = mappings;
	fix_n_mappings = ARRAY_SIZE(mappings);
	assert_int_equal(coord_fix_setup_then((void **)&coord), 0);
	coord->api->follow_keepalive_usec = KEEPALIVE_USEC;
	enrol(coord, 1, "web", coord_fix_authkey(coord));
	enrol(coord, 2, "desk", coord_fix_authkey(coord));
	enrol(coord, 3, "newcomer", NULL);
	sign_in(coord);
	check_somebody(coord);
	assert_int_equal(listen_unix(path, 0600, &error, &fd), 0);
	assert_int_equal(http_server_listen_fd(coord->http.server, fd, NULL, &error), 0);
	listen_tls(coord, path);
	assert_true(sd_event_add_io(coord->http.event, NULL, KEEP_FD, EPOLLIN, on_parent_gone,
				    NULL) >= 0);
	assert_int_equal(write(READY_FD, "x", 1), 1);
	close(READY_FD);
	assert_int_equal(sd_event_loop(coord->http.event), 0);
	return coord_fix_teardown((void **)&coord);
}

static void start_process(struct server *server, int ready, int keep)
{
	server->pid = fork();
	assert_true(server->pid >= 0);
	if (server->pid > 0)
		return;
	/* Out of the way of the numbers they get. */
	ready = fcntl(ready, F_DUPFD, 10);
	keep = fcntl(keep, F_DUPFD, 10);
	if (dup2(ready, READY_FD) == READY_FD && dup2(keep, KEEP_FD) == KEEP_FD &&
	    close_range(KEEP_FD + 1, UINT32_MAX, 0) == 0)
		execl("/proc/self/exe", "coordinator", "--serve", server->socket, NULL);
	_exit(1);
}

int coordctl_start(void **state)
{
	struct server *server = calloc(1, sizeof(*server));
	int ready[2], keep[2];
	char byte;

	assert_non_null(server);
	strcpy(server->folder, "/tmp/coordctl-online-XXXXXX");
	assert_non_null(mkdtemp(server->folder));
	snprintf(server->socket, sizeof(server->socket), "%s/admin.sock", server->folder);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(keep, O_CLOEXEC), 0);
	start_process(server, ready[1], keep[0]);
	close(ready[1]);
	close(keep[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	server->keep = keep[1];
	*state = server;
	return 0;
}

static void remove_beside(const struct server *server, const char *suffix)
{
	_cleanup_free_ char *path = text_printf("%s%s", server->socket, suffix);

	assert_int_equal(unlink(path), 0);
}

int coordctl_stop(void **state)
{
	struct server *server = *state;
	int status;

	close_fd(server->keep);
	assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
	assert_int_equal(status, 0);
	unlink(server->socket);
	remove_beside(server, CERT);
	remove_beside(server, KEY);
	remove_beside(server, PORTS);
	assert_int_equal(rmdir(server->folder), 0);
	free(server);
	return 0;
}

void run_done(struct run *run)
{
	free(run->out);
	free(run->err);
}

struct ctl ctl_for(const struct server *server)
{
	return (struct ctl){
		.server.socket = server->socket,
		.state_dir = "/nonexistent",
		.now_usec = FIX_START + 300 * FIX_SEC,
	};
}

void run_ctl(struct ctl *ctl, const char *const *words, struct run *run)
{
	char *argv[24] = { (char *)"coordctl" };
	size_t out_len, err_len;
	int argc = 1;

	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	ctl->out.file = open_memstream(&run->out, &out_len);
	ctl->err.file = open_memstream(&run->err, &err_len);
	assert_non_null(ctl->out.file);
	assert_non_null(ctl->err.file);
	run->status = cli_run(&ctl_program, argc, argv, ctl);
	assert_int_equal(fclose(ctl->out.file), 0);
	assert_int_equal(fclose(ctl->err.file), 0);
	ctl->client = client_free(ctl->client);
}

void run_coordctl(const struct server *server, const char *const *words, struct run *run)
{
	struct ctl ctl = ctl_for(server);

	run_ctl(&ctl, words, run);
}

int coordctl_enter_data(void **state)
{
	const char *dir = getenv("TEST_DATA");

	json_watch_memory();
	signal(SIGPIPE, SIG_IGN);
	return dir && chdir(dir) == 0 ? chdir("coordctl-online") : -1;
}
