#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/log.h"
#include "common/text.h"
#include "tests/unit/link-fixture.h"

static void discard_log(void *userdata, int level, const char *text)
{
}

/* ---- what the agent would do ---- */

static const struct netmap *hook_map(void *userdata, const char *source)
{
	struct fixture *f = userdata;

	return f->map && strcmp(f->map_source, source) == 0 ? f->map : NULL;
}

static int hook_offer(void *userdata, struct netmap *map, const char *source)
{
	struct fixture *f = userdata;

	f->n_offered++;
	if (f->offer < 0) {
		netmap_free(map);
		return f->offer;
	}
	netmap_free(f->map);
	f->map = map;
	f->last_generation = map->generation;
	free(f->map_source);
	f->map_source = strdup(source);
	return 0;
}

static void hook_refuse(void *userdata, char *problem)
{
	struct fixture *f = userdata;

	f->n_refused++;
	free(f->refused);
	f->refused = problem;
}

static void hook_confirm(void *userdata)
{
	struct fixture *f = userdata;

	f->n_confirmed++;
}

static int hook_use_kept(void *userdata, const char *source, const char *node)
{
	struct fixture *f = userdata;

	f->n_kept++;
	return -ENOENT;
}

static void hook_forget(void *userdata)
{
	struct fixture *f = userdata;

	f->n_forgot++;
}

static void hook_leave(void *userdata)
{
	struct fixture *f = userdata;

	f->n_left++;
	f->map = netmap_free(f->map);
}

static void hook_key_changed(void *userdata)
{
	struct fixture *f = userdata;

	f->n_keys++;
}

static void hook_changed(void *userdata)
{
}

static const struct link_hooks hooks = {
	.map = hook_map,
	.offer = hook_offer,
	.refuse = hook_refuse,
	.confirm = hook_confirm,
	.use_kept = hook_use_kept,
	.forget = hook_forget,
	.leave = hook_leave,
	.key_changed = hook_key_changed,
	.changed = hook_changed,
};

/* ---- the stage ---- */

void open_link(struct fixture *f)
{
	static struct ip_endpoint configured;
	struct link_config config = {
		.ifname = "mesh-test",
		.listen_port = 51820,
		.endpoints = &configured,
		.n_endpoints = 1,
		.places = { .etc = f->etc, .gateway_keys = f->gateway_keys },
	};
	char *error = NULL;

	assert_int_equal(ip_endpoint_parse("192.0.2.7:51820", &configured), 0);
	if (state_open(f->dir, &error, &f->state) < 0)
		fail_msg("%s", error);
	config.dirfd = state_dir_fd(f->state);
	if (link_new(f->event, &config, f->state, &hooks, f, &error, &f->link) < 0)
		fail_msg("%s", error);
	link_start(f->link);
}

void close_link(struct fixture *f)
{
	f->link = link_free(f->link);
	f->state = state_free(f->state);
}

void put_etc(struct fixture *f, const char *name, const char *text)
{
	_cleanup_free_ char *path = text_printf("%s/%s", f->etc, name);

	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644), 0);
}

int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	_cleanup_free_ char *ssh = NULL;

	log_set_sink(discard_log, NULL);
	f->dir = strdup("/tmp/test-link-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->etc = text_printf("%s/etc", f->dir);
	f->gateway_keys = text_printf("%s/gateway-keys", f->etc);
	ssh = text_printf("%s/ssh", f->etc);
	assert_true(mkdir(f->etc, 0755) == 0 && mkdir(ssh, 0755) == 0);
	put_etc(f, "os-release", "ID=x\nPRETTY_NAME=\"Some \\\"Linux\\\" 1\"\n");
	put_etc(f, "ssh/ssh_host_ed25519_key.pub",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9 "
		"root@x\n");
	put_etc(f, "ssh/ssh_host_rsa_key.pub", "ssh-rsa nonsense root@x\n");
	assert_int_equal(sd_event_new(&f->event), 0);
	f->tc = tc_new(f->event, "127.0.0.1", 0);
	open_link(f);
	*state = f;
	return 0;
}

int teardown(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *command = text_printf("rm -rf %s", f->dir);

	close_link(f);
	tc_free(f->tc);
	sd_event_unref(f->event);
	netmap_free(f->map);
	free(f->map_source);
	free(f->refused);
	free(f->logout_problem);
	free(f->dir);
	free(f->etc);
	free(f->gateway_keys);
	free(f);
	return system(command);
}

const char *state_of(const struct fixture *f)
{
	struct link_view view;

	link_view(f->link, &view);
	return view.state;
}

void run_for(struct fixture *f, uint64_t usec)
{
	uint64_t end = clock_usec(CLOCK_MONOTONIC) + usec, now;

	while ((now = clock_usec(CLOCK_MONOTONIC)) < end)
		assert_true(sd_event_run(f->event, end - now) >= 0);
}

const char *problem_of(const struct fixture *f)
{
	struct link_view view;

	link_view(f->link, &view);
	return view.problem;
}

bool is(const struct fixture *f, const char *state)
{
	return strcmp(state_of(f), state) == 0;
}

void up(struct fixture *f, struct link_wish wish)
{
	_cleanup_free_ char *error = NULL;

	if (!wish.url)
		wish.url = f->tc->url;
	if (link_up(f->link, &wish, &error) < 0)
		fail_msg("%s", error);
}

void come_up(struct fixture *f)
{
	f->tc->approve_all = true;
	up(f, (struct link_wish){ 0 });
	AWAIT(f, is(f, "connected") && f->map);
}
