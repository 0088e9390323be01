/*
 * The agent's link to a coordinator that is reached through an HTTP proxy: tinyproxy, and a
 * coordinator with TLS in this event loop. Where tinyproxy is not installed the tests are skipped;
 * tests/run.sh installs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"
#include "tests/coordinator/coordinator.h"
#include "tests/unit/certificate.h"
#include "tests/unit/link-keeper.h"
#include "tests/unit/program.h"

#define PATIENCE_USEC (20 * USEC_PER_SEC)
#define SECRET	      "s3cret"

struct fixture {
	sd_event *event;
	struct tc *tc;
	char dir[64], cert[96], key[96], log[96];
	uint16_t port; /* the proxy's */
	pid_t proxy;
	struct state *state;
	struct link *link;
	struct link_keeper keeper;
	char *said; /* all that was logged */
};

static void keep_log(void *userdata, int level, const char *text)
{
	struct fixture *f = userdata;
	char *more = text_printf("%s%s\n", f->said ? f->said : "", text);

	free(f->said);
	f->said = more;
}

/* ---- the stage ---- */

static void put(const struct fixture *f, const char *name, const char *text)
{
	_cleanup_free_ char *path = text_printf("%s/%s", f->dir, name);

	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644), 0);
}

static void start_proxy(struct fixture *f)
{
	static const char *const argv[] = { "tinyproxy", "-d", "-c", "tinyproxy.conf", NULL };
	_cleanup_free_ char *config = text_printf(
		"Port %u\nListen 127.0.0.1\nTimeout 600\nMaxClients 20\nLogFile \"%s\"\n"
		"LogLevel Connect\nBasicAuth host " SECRET "\n",
		f->port, f->log);

	put(f, "tinyproxy.conf", config);
	program_start(f->dir, argv, f->port, &f->proxy);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_set_sink(keep_log, f);
	strcpy(f->dir, "/tmp/test-link-proxy-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->cert, sizeof(f->cert), "%s/cert.pem", f->dir);
	snprintf(f->key, sizeof(f->key), "%s/key.pem", f->dir);
	snprintf(f->log, sizeof(f->log), "%s/log", f->dir);
	certificate_make("coordinator", "IP:127.0.0.1", f->cert, f->key);
	f->port = program_free_port();
	assert_int_equal(sd_event_new(&f->event), 0);
	f->tc = tc_new(f->event, "127.0.0.1", 0);
	f->tc->approve_all = true;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *command = text_printf("rm -rf %s", f->dir);

	link_free(f->link);
	state_free(f->state);
	tc_free(f->tc);
	sd_event_unref(f->event);
	program_stop(f->proxy);
	link_keeper_done(&f->keeper);
	log_set_sink(NULL, NULL);
	free(f->said);
	free(f);
	return system(command);
}

static void use_tls(struct fixture *f)
{
	tc_stop(f->tc);
	f->tc->tls = (struct http_tls_files){ f->cert, f->key };
	tc_start(f->tc);
}

/* password NULL: without a proxy. */
static void come_up(struct fixture *f, const char *password)
{
	_cleanup_free_ char *proxy =
		password ? text_printf("http://host:%s@127.0.0.1:%u", password, f->port) : NULL;
	const struct link_wish wish = { .url = f->tc->url };
	struct link_config config = {
		.ca_file = f->cert,
		.proxy = proxy,
		.ifname = "mesh-test",
		.listen_port = 51820,
		.places = { .etc = f->dir, .gateway_keys = "/nonexistent/keys" },
	};
	char *error = NULL;

	if (state_open(f->dir, &error, &f->state) < 0)
		fail_msg("%s", error);
	config.dirfd = state_dir_fd(f->state);
	if (link_new(f->event, &config, f->state, &link_keeper_hooks, &f->keeper, &error,
		     &f->link) < 0)
		fail_msg("%s", error);
	link_start(f->link);
	if (link_up(f->link, &wish, &error) < 0)
		fail_msg("%s", error);
}

static struct link_view view_of(const struct fixture *f)
{
	struct link_view view;

	link_view(f->link, &view);
	return view;
}

static bool is(const struct fixture *f, const char *state)
{
	return strcmp(view_of(f).state, state) == 0;
}

#define AWAIT(f, condition)                                                         \
	do {                                                                        \
		uint64_t end_ = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;        \
		while (!(condition) && clock_usec(CLOCK_MONOTONIC) < end_)          \
			assert_true(sd_event_run((f)->event, 10000) >= 0);          \
		if (!(condition))                                                   \
			fail_msg("in vain: %s (state %s, problem %s)", #condition,  \
				 view_of(f).state,                                  \
				 view_of(f).problem ? view_of(f).problem : "none"); \
	} while (0)

/* What the proxy was asked for. */
static bool proxy_saw(const struct fixture *f, const char *request)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	return file_read(AT_FDCWD, f->log, 1 << 20, &text, &len) == 0 && strstr(text, request);
}

/* ---- the tests ---- */

/* The proxy sees nothing but where it goes, whatever the environment says of proxies. */
static void test_tunnel(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *connect = NULL;
	uint64_t generation;

	use_tls(f);
	start_proxy(f);
	come_up(f, SECRET);
	AWAIT(f, is(f, "connected") && f->keeper.map);
	assert_null(view_of(f).problem);
	connect = text_printf("CONNECT %s", strrchr(f->tc->url, '/') + 1);
	assert_true(proxy_saw(f, connect));
	assert_false(proxy_saw(f, "/v1/"));
	/* The stream goes on through it. */
	generation = f->keeper.map->generation;
	tc_publish(f->tc);
	AWAIT(f, f->keeper.map->generation > generation);
}

/* Without TLS the proxy passes requests on. */
static void test_plain(void **state)
{
	struct fixture *f = *state;
	uint64_t generation;

	start_proxy(f);
	come_up(f, SECRET);
	AWAIT(f, is(f, "connected") && f->keeper.map);
	assert_true(proxy_saw(f, "POST http://127.0.0.1:"));
	generation = f->keeper.map->generation;
	tc_publish(f->tc);
	AWAIT(f, f->keeper.map->generation > generation);
}

static void test_wrong_password(void **state)
{
	struct fixture *f = *state;

	use_tls(f);
	start_proxy(f);
	come_up(f, "wr0ng");
	AWAIT(f, view_of(f).problem);
	assert_non_null(strstr(view_of(f).problem, "CONNECT"));
	assert_null(strstr(view_of(f).problem, "wr0ng"));
	assert_int_equal(f->tc->n_contact, 0);
	AWAIT(f, f->said && strstr(f->said, "CONNECT"));
	assert_null(strstr(f->said, "wr0ng"));
}

/* It comes back by itself. */
static void test_proxy_is_away(void **state)
{
	struct fixture *f = *state;

	use_tls(f);
	come_up(f, SECRET);
	AWAIT(f, view_of(f).problem);
	assert_null(strstr(view_of(f).problem, SECRET));
	assert_int_equal(f->tc->n_contact, 0);
	start_proxy(f);
	AWAIT(f, is(f, "connected") && f->keeper.map);
}

static void test_no_proxy(void **state)
{
	struct fixture *f = *state;

	use_tls(f);
	come_up(f, NULL);
	AWAIT(f, is(f, "connected") && f->keeper.map);
}

/* The certificate is that of somebody else. */
static void test_checks_the_certificate(void **state)
{
	struct fixture *f = *state;

	use_tls(f);
	start_proxy(f);
	certificate_make("somebody else", "IP:127.0.0.1", f->cert, NULL);
	come_up(f, SECRET);
	AWAIT(f, view_of(f).problem);
	assert_non_null(strstr(view_of(f).problem, "certificate"));
	assert_int_equal(f->tc->n_contact, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tunnel),	  TEST(test_plain),    TEST(test_wrong_password),
		TEST(test_proxy_is_away), TEST(test_no_proxy), TEST(test_checks_the_certificate),
	};

	if (!program_is_installed("tinyproxy"))
		return 77;
	/* Nothing of this is to be heeded. */
	setenv("no_proxy", "*", 1);
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
