#include "tests/bench/coord/admin.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/text.h"
#include "peergate-config.h"
#include "tests/bench/coord/bench.h"
#include "tests/bench/coord/conn.h"

#define TIMEOUT_USEC (60 * USEC_PER_SEC)

static struct conn *connection;
static bool asked;
static char *path_asked;
static json_t *answered;

static struct sockaddr_un address(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	strcpy(un.sun_path, PEERGATE_COORD_ADMIN_SOCKET);
	return un;
}

bool admin_is_there(void)
{
	struct sockaddr_un un = address();
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0;
}

void admin_forget(void)
{
	connection = conn_close(connection);
}

static void on_answer(const struct answer *answer, void *userdata)
{
	if (answer->status != 200)
		die("%s: %u: %s", path_asked, answer->status, answer->text);
	asked = false;
	answered = must_have(json_loadb(answer->text, answer->len, 0, NULL));
}

static void on_end(const char *why, void *userdata)
{
	connection = NULL;
	if (asked)
		die("%s: the connection: %s", path_asked, why);
}

static void open_connection(void)
{
	static const struct conn_ops ops = { .on_answer = on_answer, .on_end = on_end };
	struct conn_config config = { .to_len = sizeof(struct sockaddr_un), .ops = &ops };
	struct sockaddr_un un = address();

	memcpy(&config.to, &un, sizeof(un));
	connection = conn_open(&config);
}

void admin_begin(const char *method, const char *path, const char *body)
{
	char *text =
		must_have(text_printf("%s %s HTTP/1.1\r\nHost: coordinator\r\n"
				      "Content-Length: %zu\r\n\r\n%s",
				      method, path, body ? strlen(body) : 0, body ? body : ""));

	free(path_asked);
	path_asked = must_have(strdup(path));
	json_decref(answered);
	answered = NULL;
	asked = true;
	if (!connection)
		open_connection();
	conn_send(connection, text, strlen(text));
}

bool admin_is_answered(void)
{
	return !asked;
}

json_t *admin_ask(const char *method, const char *path, const char *body)
{
	admin_begin(method, path, body);
	if (!conn_run(admin_is_answered, bench_now() + TIMEOUT_USEC))
		die("%s: no answer", path);
	return take_ptr(answered);
}
