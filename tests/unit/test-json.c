#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"

struct item {
	char *name;
	uint64_t count;
};

struct thing {
	char *name;
	bool flag;
	uint64_t count;
	uint64_t when;
	struct item *items;
	size_t n_items;
};

static int read_item(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "name", json_read_string, offsetof(struct item, name), JSON_REQUIRED },
		{ "count", json_read_u64, offsetof(struct item, count), JSON_NULLABLE },
	};

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

static int read_items(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	struct thing *thing = target;

	return json_read_array(v, at, 3, sizeof(struct item), read_item, &thing->items,
			       &thing->n_items, rep);
}

static const struct json_field thing_fields[] = {
	{ "name", json_read_string, offsetof(struct thing, name), JSON_REQUIRED },
	{ "flag", json_read_bool, offsetof(struct thing, flag), 0 },
	{ "count", json_read_u64, offsetof(struct thing, count), JSON_NULLABLE },
	{ "when", json_read_time, offsetof(struct thing, when), JSON_NULLABLE },
	{ "items", read_items, 0, JSON_NULLABLE },
};

static void thing_done(struct thing *thing)
{
	for (size_t i = 0; i < thing->n_items; i++)
		free(thing->items[i].name);
	free(thing->items);
	free(thing->name);
}

static int read_thing(const char *text, size_t len, struct thing *thing, struct json_report *rep)
{
	const struct json_at root = { 0 };
	json_t *value = NULL;
	int r;

	r = json_parse(text, len, rep, &value);
	if (r == 0)
		r = json_read_object(value, &root, thing_fields, ARRAY_SIZE(thing_fields), thing,
				     rep);
	json_decref(value);
	return r;
}

static void test_reads_fields(void **state)
{
	static const char text[] =
		"{\"name\": \"n\", \"flag\": true, \"count\": 9007199254740993, \"later\": [{}],"
		" \"when\": \"1970-01-01T00:00:01.5Z\","
		" \"items\": [{\"name\": \"a\", \"count\": null}, {\"name\": \"b\", \"count\": "
		"2}]}";
	struct json_report rep = { 0 };
	struct thing thing = { .count = 5 };

	assert_int_equal(read_thing(text, strlen(text), &thing, &rep), 0);
	assert_null(rep.text);
	assert_string_equal(thing.name, "n");
	assert_true(thing.flag);
	assert_true(thing.count == 9007199254740993u);
	assert_int_equal(thing.when, 1500000);
	assert_int_equal(thing.n_items, 2);
	assert_string_equal(thing.items[0].name, "a");
	assert_int_equal(thing.items[0].count, 0);
	assert_string_equal(thing.items[1].name, "b");
	assert_int_equal(thing.items[1].count, 2);
	thing_done(&thing);
}

static void test_absent_is_unchanged(void **state)
{
	static const char text[] = "{\"name\": \"n\", \"count\": null, \"items\": []}";
	struct json_report rep = { 0 };
	struct thing thing = { .count = 5, .flag = true };

	assert_int_equal(read_thing(text, strlen(text), &thing, &rep), 0);
	assert_int_equal(thing.count, 5);
	assert_true(thing.flag);
	assert_null(thing.items);
	thing_done(&thing);
}

static const struct refusal {
	const char *text;
	const char *report; /* its beginning */
} refusals[] = {
	{ "[]", "expected an object, not an array" },
	{ "7", "expected an object, not a whole number" },
	{ "{}", "name: is missing; it has to be there" },
	{ "{\"name\": null}", "name: expected a string, not null" },
	{ "{\"name\": 1.5}", "name: expected a string, not a number with a fraction" },
	{ "{\"name\": \"n\", \"flag\": 1}", "flag: expected true or false, not a whole number" },
	{ "{\"name\": \"n\", \"flag\": null}", "flag: expected true or false, not null" },
	{ "{\"name\": \"n\", \"count\": 1.0}",
	  "count: expected a whole number, not a number with" },
	{ "{\"name\": \"n\", \"count\": \"1\"}", "count: expected a whole number, not a string" },
	{ "{\"name\": \"n\", \"count\": -1}", "count: -1 is negative; expected 0 or more" },
	{ "{\"name\": \"n\", \"count\": 99999999999999999999}",
	  "line 1 column 43: too big integer" },
	{ "{\"name\": \"n\", \"when\": 5}", "when: expected a time such as" },
	{ "{\"name\": \"n\", \"when\": \"soon\"}", "when: \"soon\" is no time; expected one" },
	{ "{\"name\": \"n\", \"when\": \"\\u001b[2J\"}", "when: \"?[2J\" is no time" },
	{ "{\"name\": \"n\", \"items\": {}}", "items: expected an array, not an object" },
	{ "{\"name\": \"n\", \"items\": [1]}", "items[0]: expected an object, not a whole number" },
	{ "{\"name\": \"n\", \"items\": [{\"name\": \"a\"}, {\"name\": []}]}",
	  "items[1].name: expected a string, not an array" },
	{ "{\"name\": \"n\", \"items\": [1, 2, 3, 4]}",
	  "items: has 4 elements; at most 3 are allowed" },
	{ "{\"name\": \"n\",\n \"name\": \"m\"}", "line 2 column 7: duplicate object key" },
	{ "{\"name\": \"a\\u0000b\"}", "line 1 column 19: \\u0000 is not allowed" },
	{ "{\"name\": \"\xff\"}", "line 1 column 10: unable to decode byte 0xff" },
	{ "{\"name\": \"n\"} x", "line 1 column 15: end of file expected" },
	{ "{\"name\": ", "line 1 column 9: " },
	{ "", "line 1 column 0: " },
};

static void test_refuses(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct refusal *c = &refusals[i];
		struct json_report rep = { 0 };
		struct thing thing = { 0 };
		int r = read_thing(c->text, strlen(c->text), &thing, &rep);

		if (r != -EINVAL || !rep.text ||
		    strncmp(rep.text, c->report, strlen(c->report)) != 0)
			fail_msg("%s: %d, \"%s\", expected \"%s\"", c->text, r,
				 rep.text ? rep.text : "-", c->report);
		json_report_done(&rep);
		assert_null(rep.text);
		thing_done(&thing);
	}
}

static void test_deep_nesting_is_refused(void **state)
{
	static char text[200000];
	struct json_report rep = { 0 };
	json_t *value = NULL;

	memset(text, '[', sizeof(text));
	assert_int_equal(json_parse(text, sizeof(text), &rep, &value), -EINVAL);
	assert_non_null(strstr(rep.text, "maximum parsing depth"));
	assert_null(value);
	json_report_done(&rep);
}

static void test_first_report_stays(void **state)
{
	const struct json_at root = { 0 };
	const struct json_at list = { .parent = &root, .key = "peers" };
	const struct json_at third = { .parent = &list, .index = 3 };
	const struct json_at name = { .parent = &third, .key = "name" };
	struct json_report rep = { 0 };

	assert_int_equal(json_fail(&rep, &name, "is %s", "bad\n"), -EINVAL);
	assert_int_equal(json_fail(&rep, &root, "second"), -EINVAL);
	assert_string_equal(rep.text, "peers[3].name: is bad?");
	json_report_done(&rep);
}

static void test_string_is_replaced(void **state)
{
	const struct json_at root = { 0 };
	struct json_report rep = { 0 };
	json_t *value = json_string("new");
	char *string = strdup("old");

	assert_int_equal(json_read_string(value, &root, &string, &rep), 0);
	assert_string_equal(string, "new");
	free(string);
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_fields),
		cmocka_unit_test(test_absent_is_unchanged),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_deep_nesting_is_refused),
		cmocka_unit_test(test_first_report_stays),
		cmocka_unit_test(test_string_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
