#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/text.h"
#include "tests/unit/api-link-fixture.h"

struct tc *tc;
struct state *state_files;
static char *dir;

/* ---- an agent that takes whatever comes ---- */

static const struct netmap *no_map(void *userdata, const char *source)
{
	return NULL;
}

static int take_map(void *userdata, struct netmap *map, const char *source)
{
	netmap_free(map);
	return 0;
}

static void take_refusal(void *userdata, char *problem)
{
	free(problem);
}

static int no_kept_map(void *userdata, const char *source, const char *node)
{
	return -ENOENT;
}

static void nothing(void *userdata)
{
}

static void changed(void *userdata)
{
	struct fixture *f = userdata;

	api_link_changed(f->api);
}

static const struct link_hooks hooks = {
	.map = no_map,
	.offer = take_map,
	.refuse = take_refusal,
	.confirm = nothing,
	.use_kept = no_kept_map,
	.forget = nothing,
	.leave = nothing,
	.key_changed = nothing,
	.changed = changed,
};

static void discard_log(void *userdata, int level, const char *text)
{
}

int setup_link(void **state)
{
	struct link_config config = {
		.ifname = "mesh-test",
		.listen_port = 51820,
		.places = { .etc = "/nonexistent", .gateway_keys = "/nonexistent/keys" },
	};
	struct fixture *f;
	char *error = NULL;

	log_set_sink(discard_log, NULL);
	assert_int_equal(setup(state), 0);
	f = *state;
	dir = strdup("/tmp/test-api-link-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(state_open(dir, &error, &state_files), 0);
	tc = tc_new(f->event, "127.0.0.1", 0);
	config.dirfd = state_dir_fd(state_files);
	if (link_new(f->event, &config, state_files, &hooks, f, &error, &f->link) < 0)
		fail_msg("%s", error);
	return 0;
}

int teardown_link(void **state)
{
	_cleanup_free_ char *command = text_printf("rm -rf %s", dir);
	struct fixture *f = *state;
	int r;

	f->link = link_free(f->link);
	tc = tc_free(tc);
	r = teardown(state);
	state_files = state_free(state_files);
	free(dir);
	return r | system(command);
}

/* ---- what is heard ---- */

char *hear_until(struct fixture *f, struct varlink_client *client, const char *a, const char *b)
{
	uint64_t end = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;
	_cleanup_free_ char *last = NULL;

	while (clock_usec(CLOCK_MONOTONIC) < end) {
		char *text;

		assert_true(sd_event_run(f->event, 10000) >= 0);
		text = hear(client);
		if (strstr(text, a) && strstr(text, b))
			return text;
		if (text[0]) {
			free(last);
			last = text;
		} else {
			free(text);
		}
	}
	fail_msg("in vain: %s, %s; heard last: %s", a, b, last ? last : "nothing");
	return NULL;
}

void begin_link(struct fixture *f, struct varlink_client *client, const char *method,
		const char *more)
{
	_cleanup_free_ char *params =
		text_printf("{\"coordinator\":\"%s\"%s}", tc->url, more ? more : "");

	send_call(f, client, method, params, true);
}

void come_up_link(struct fixture *f)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = connect_to(f);

	tc->approve_all = true;
	begin_link(f, client, "Up", NULL);
	free(hear_until(f, client, "\"state\":\"connected\"", "\"join\":\"idle\""));
}
