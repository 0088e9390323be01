/* The agent's end of a map stream. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/link/stream.h"
#include "tests/unit/known-keys.h"
#include "tests/unit/link-sender.h"

#define NONCE UINT64_C(1800000000123)

struct fixture {
	struct ed25519_key *machine, *coordinator;
	struct wg_key ephemeral, ephemeral_public;
	struct frame_id id;
	struct link_stream *stream;
	struct link_sender sender;
	char *error;
	unsigned n_hello;
	char heard[256]; /* types, as "full:N " with the member "n" */
	int answer;	 /* of on_object */
};

static void on_hello(void *userdata)
{
	struct fixture *f = userdata;

	f->n_hello++;
}

static int on_object(enum link_object type, const json_t *object, void *userdata,
		     char **reterr_text)
{
	static const char *const names[] = { "full", "delta", "keepalive", "end" };
	struct fixture *f = userdata;
	size_t len = strlen(f->heard);

	snprintf(f->heard + len, sizeof(f->heard) - len, "%s:%d ", names[type],
		 (int)json_integer_value(json_object_get(object, "n")));
	if (f->answer < 0)
		*reterr_text = strdup("told so");
	return f->answer;
}

static int setup(void **state)
{
	static struct fixture f;
	struct link_stream_config config = { 0 };

	f = (struct fixture){
		.machine = known_key(KNOWN_MACHINE),
		.coordinator = known_key(KNOWN_COORDINATOR),
	};
	assert_int_equal(wg_key_generate(&f.ephemeral), 0);
	assert_int_equal(wg_key_public(&f.ephemeral, &f.ephemeral_public), 0);
	f.id = (struct frame_id){ FRAME_HELLO, *ed25519_key_public(f.machine), NONCE, 0 };
	config = (struct link_stream_config){
		.coordinator = *ed25519_key_public(f.coordinator),
		.machine = *ed25519_key_public(f.machine),
		.nonce = NONCE,
		.ephemeral = f.ephemeral,
		.node_id = "n1",
		.on_hello = on_hello,
		.on_object = on_object,
		.userdata = &f,
	};
	assert_int_equal(link_stream_new(&config, &f.stream), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	link_stream_free(f->stream);
	ed25519_key_free(f->machine);
	ed25519_key_free(f->coordinator);
	free(f->error);
	return 0;
}

/* In pieces of this size. line is freed. */
static int feed(struct fixture *f, char *line, size_t piece)
{
	size_t len = strlen(line);
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i += piece)
		r = link_stream_take(f->stream, line + i, len - i < piece ? len - i : piece,
				     &f->error);
	free(line);
	return r;
}

static char *hello(struct fixture *f)
{
	return link_sender_begin(&f->sender, f->coordinator, &f->id, &f->ephemeral_public, "n1");
}

static void test_pieces(void **state)
{
	static const size_t pieces[] = { 1, 2, 7, 100, 100000 };
	struct fixture *f;

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		(void)setup(state);
		f = *state;
		assert_int_equal(feed(f, hello(f), pieces[i]), 0);
		assert_int_equal(f->n_hello, 1);
		for (unsigned n = 0; n < 3; n++) {
			_cleanup_free_ char *body =
				text_printf("{\"type\":\"%s\",\"n\":%u}", n ? "delta" : "full", n);

			assert_int_equal(feed(f, link_sender_line(&f->sender, body), pieces[i]), 0);
		}
		assert_string_equal(f->heard, "full:0 delta:1 delta:2 ");
		assert_int_equal(link_stream_lines(f->stream), 4);
		(void)teardown(state);
	}
}

/* Many lines in one piece, the last one not whole. */
static void test_lines_together(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *a = hello(f),
			    *b = link_sender_line(&f->sender, "{\"type\":\"keepalive\"}"),
			    *c = link_sender_line(&f->sender, "{\"type\":\"end\",\"n\":5}");
	char *all = text_printf("%s%s%s", a, b, c), *rest;
	size_t cut = strlen(all) - 4;

	rest = strdup(all + cut);
	all[cut] = '\0';
	assert_int_equal(feed(f, all, 1 << 20), 0);
	assert_string_equal(f->heard, "keepalive:0 ");
	assert_int_equal(feed(f, rest, 1 << 20), 0);
	assert_string_equal(f->heard, "keepalive:0 end:5 ");
}

/* A map of many megabytes, and small lines after it. */
static void test_large(void **state)
{
	struct fixture *f = *state;
	size_t len = 20u << 20;
	char *body = malloc(len + 64);

	assert_non_null(body);
	strcpy(body, "{\"type\":\"full\",\"n\":1,\"x\":\"");
	memset(body + strlen("{\"type\":\"full\",\"n\":1,\"x\":\""), 'x', len);
	strcpy(body + len, "\"}");
	assert_int_equal(feed(f, hello(f), 100), 0);
	assert_int_equal(feed(f, link_sender_line(&f->sender, body), 16384), 0);
	free(body);
	assert_int_equal(feed(f, link_sender_line(&f->sender, "{\"type\":\"delta\",\"n\":2}"), 10),
			 0);
	assert_string_equal(f->heard, "full:1 delta:2 ");
}

static char *with_length(size_t len)
{
	char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, 'x', len);
	text[len] = '\0';
	return text;
}

static void test_too_long(void **state)
{
	struct fixture *f = *state;

	/* The first line has little to say. */
	assert_int_equal(feed(f, with_length(4097), 1000), -EMSGSIZE);
	(void)teardown(state);
	(void)setup(state);
	f = *state;
	assert_int_equal(feed(f, hello(f), 100), 0);
	assert_int_equal(feed(f, with_length(FRAME_MAX_BODY + 24), 1 << 20), -EMSGSIZE);
}

static char *change(char *line, const char *from, const char *to)
{
	char *at = strstr(line, from);

	assert_non_null(at);
	memcpy(at, to, strlen(to));
	return line;
}

static void test_first_line(void **state)
{
	struct fixture *f = *state;
	struct frame_id other = f->id;
	struct ed25519_key *stranger;

	/* of another coordinator; to another request; for another node; changed on the way */
	for (unsigned i = 0; i < 5; i++) {
		char *line;

		(void)teardown(state);
		(void)setup(state);
		f = *state;
		other = f->id;
		stranger = known_key(KNOWN_OTHER);
		other.nonce++;
		line = link_sender_begin(&f->sender, i == 0 ? stranger : f->coordinator,
					 i == 1 ? &other : &f->id, &f->ephemeral_public,
					 i == 2 ? "n2" : "n1");
		ed25519_key_free(stranger);
		if (i == 3)
			change(line, "n1", "n3");
		if (i == 4)
			change(line, "ephemeral", "ephemerax");
		assert_int_equal(feed(f, line, 100), i == 2 ? -EINVAL : -EKEYREJECTED);
		assert_non_null(f->error);
		assert_int_equal(f->n_hello, 0);
	}
}

static void test_no_other_object_first(void **state)
{
	struct fixture *f = *state;
	const char *body = "{\"type\":\"full\",\"for\":\"n1\",\"ephemeral\":\"\"}";
	char sig[FRAME_SIG_CHARS + 1];
	uint8_t digest[SHA256_LEN];

	assert_int_equal(sha256(body, strlen(body), digest), 0);
	assert_int_equal(frame_sign(f->coordinator, &f->id, digest, sig), 0);
	assert_int_equal(feed(f, text_printf("%s %s\n", sig, body), 100), -EINVAL);
	assert_string_equal(f->heard, "");
}

static void test_lines_that_are_not_the_next(void **state)
{
	for (unsigned i = 0; i < 5; i++) {
		struct fixture *f;
		char *one, *two;
		int r;

		(void)setup(state);
		f = *state;
		assert_int_equal(feed(f, hello(f), 100), 0);
		one = link_sender_line(&f->sender, "{\"type\":\"delta\",\"n\":1}");
		two = link_sender_line(&f->sender, "{\"type\":\"delta\",\"n\":2}");
		switch (i) {
		case 0: /* left out */
			free(one);
			r = feed(f, two, 100);
			break;
		case 1: /* repeated */
			free(two);
			assert_int_equal(feed(f, strdup(one), 100), 0);
			r = feed(f, one, 100);
			break;
		case 2: /* changed */
			free(two);
			r = feed(f, change(one, "\"n\":1", "\"n\":7"), 100);
			break;
		case 3: /* made up */
			free(one);
			free(two);
			r = feed(f, strdup("{\"type\":\"delta\",\"n\":1}\n"), 100);
			break;
		default: /* empty */
			free(one);
			free(two);
			r = feed(f, strdup("\n"), 1);
		}
		assert_true(r == -EKEYREJECTED || (i >= 3 && r == -EINVAL));
		assert_string_equal(f->heard, i == 1 ? "delta:1 " : "");
		assert_non_null(f->error);
		(void)teardown(state);
	}
}

static void test_objects_that_are_none(void **state)
{
	static const struct {
		const char *body, *error;
	} cases[] = {
		{ "{\"type\":\"fool\"}", "of a type" },
		{ "{}", "of a type" },
		{ "{\"type\":3}", "of a type" },
		{ "{\"type\":\"full\",\"type\":\"delta\"}", "duplicate" },
		{ "{\"type\":}", "line 1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture *f;

		(void)setup(state);
		f = *state;
		assert_int_equal(feed(f, hello(f), 100), 0);
		assert_int_equal(feed(f, link_sender_line(&f->sender, cases[i].body), 100),
				 -EINVAL);
		if (!strstr(f->error, cases[i].error))
			fail_msg("%s", f->error);
		assert_string_equal(f->heard, "");
		(void)teardown(state);
	}
}

static void test_handlers_no_ends_it(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, hello(f), 100), 0);
	f->answer = -ESTALE;
	assert_int_equal(feed(f, link_sender_line(&f->sender, "{\"type\":\"delta\"}"), 5), -ESTALE);
	assert_string_equal(f->error, "told so");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test_setup_teardown(test_lines_together, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_other_object_first, setup, teardown),
		cmocka_unit_test(test_lines_that_are_not_the_next),
		cmocka_unit_test(test_objects_that_are_none),
		cmocka_unit_test_setup_teardown(test_handlers_no_ends_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
