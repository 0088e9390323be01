/* What pages are made of: HTML, forms, cookies, tokens. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/text.h"
#include "coord/web/cookie.h"
#include "coord/web/csrf.h"
#include "coord/web/form.h"
#include "coord/web/html.h"

/* ---- HTML ---- */

static void assert_shown(const char *value, const char *wanted)
{
	_cleanup_(html_done) struct html html = { 0 };
	_cleanup_free_ char *text = text_printf("<p title=\"%s\">%s</p>", wanted, wanted);

	html_add(&html, "<p title=\"%s\">%s</p>", value, value);
	assert_false(html.failed);
	assert_string_equal(html.data, text);
}

static void test_html_escapes(void **state)
{
	assert_shown("plain", "plain");
	assert_shown(NULL, "");
	assert_shown("", "");
	assert_shown("<script>", "&lt;script&gt;");
	assert_shown("a\" onload='x' & b", "a&quot; onload=&#39;x&#39; &amp; b");
	assert_shown("na\xc3\xafve \xf0\x9f\x90\xa7", "na\xc3\xafve \xf0\x9f\x90\xa7");
	assert_shown("a\nb\tc", "a\nb\tc");
	assert_shown("a\rb\x7f\x1b[2J", "a\xef\xbf\xbd"
					"b\xef\xbf\xbd\xef\xbf\xbd[2J");
	/* A right-to-left override, C1, overlong, cut off, a lone continuation, a surrogate. */
	assert_shown("a\xe2\x80\xae"
		     "b",
		     "a\xef\xbf\xbd"
		     "b");
	assert_shown("a\xc2\x85"
		     "b",
		     "a\xef\xbf\xbd"
		     "b");
	assert_shown("\xc0\xbc", "\xef\xbf\xbd");
	assert_shown("\xe2\x80", "\xef\xbf\xbd");
	assert_shown("\x80<", "\xef\xbf\xbd&lt;");
	assert_shown("\xed\xa0\x80", "\xef\xbf\xbd");
	assert_shown("\xe2<b>", "\xef\xbf\xbd&lt;b&gt;");
}

static void test_html_numbers(void **state)
{
	_cleanup_(html_done) struct html html = { 0 };

	html_add(&html, "%u %zu %llu", 7u, (size_t)8, 18446744073709551615ull);
	assert_string_equal(html.data, "7 8 18446744073709551615");
	/* Others are not known: no page is better than one that lacks something. */
	html_add(&html, "%d", 1);
	assert_true(html.failed);
}

static void test_html_takes(void **state)
{
	struct html html = { 0 };
	size_t len = 0;
	char *page;

	for (unsigned i = 0; i < 3000; i++)
		html_add(&html, "<i>%u</i>", i % 10);
	page = html_take(&html, &len);
	assert_non_null(page);
	assert_int_equal(len, 3000 * 8);
	assert_int_equal(strlen(page), len);
	assert_memory_equal(page + 7 * 8, "<i>7</i>", 8);
	assert_null(html.data);
	free(page);
	/* What is not there, or not whole, is no page. */
	assert_null(html_take(&html, &len));
	html_add(&html, "x");
	html.failed = true;
	assert_null(html_take(&html, &len));
	assert_null(html.data);
	assert_false(html.failed);
}

/* ---- forms ---- */

static void test_form_reads(void **state)
{
	const char *body = "login=alice%40example.com&password=p%26+%c3%a9&empty=&x-y_Z9=%3d=";
	const char *why = NULL;
	_cleanup_(form_done) struct form form = { 0 };

	assert_int_equal(form_parse(body, strlen(body), &form, &why), 0);
	assert_int_equal(form.n_fields, 4);
	assert_string_equal(form_get(&form, "login"), "alice@example.com");
	assert_string_equal(form_get(&form, "password"), "p& \xc3\xa9");
	assert_string_equal(form_get(&form, "empty"), "");
	assert_string_equal(form_get(&form, "x-y_Z9"), "==");
	assert_null(form_get(&form, "other"));
}

static void test_form_is_empty(void **state)
{
	const char *why = NULL;
	_cleanup_(form_done) struct form form = { 0 };

	assert_int_equal(form_parse("", 0, &form, &why), 0);
	assert_int_equal(form.n_fields, 0);
	assert_null(form_get(&form, ""));
}

static void assert_refused_len(const char *body, size_t len, const char *wanted)
{
	struct form form = { .n_fields = 42 };
	const char *why = NULL;

	assert_int_equal(form_parse(body, len, &form, &why), -EINVAL);
	assert_string_equal(why, wanted);
	assert_int_equal(form.n_fields, 42);
}

static void assert_refused(const char *body, const char *wanted)
{
	assert_refused_len(body, strlen(body), wanted);
}

static void test_form_refuses(void **state)
{
	static char large[FORM_MAX_BYTES + 2];

	assert_refused("a=1&a=2", "a field comes twice");
	assert_refused("a", "a field has no value");
	assert_refused("a=1&", "a field has no value");
	assert_refused("&a=1", "a field has no value");
	assert_refused("=1", "a field has no name that is used here");
	assert_refused("a%62=1", "a field has no name that is used here");
	assert_refused("a[]=1", "a field has no name that is used here");
	assert_refused("a234567890123456789012345678901234=1",
		       "a field has no name that is used here");
	assert_refused("a=%", "an escape is not complete");
	assert_refused("a=%4", "an escape is not complete");
	assert_refused("a=%4g", "an escape is not complete");
	assert_refused("a=%00", "an escape is not complete");
	assert_refused("a=%0a", "a value is no text");
	assert_refused("a=%ff", "a value is no text");
	assert_refused("a=%e2%80%ae", "a value is no text");
	assert_refused_len("a=1\0", 4, "there is a NUL in it");
	assert_refused("a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=&l=&m=&n=&o=&p=&q=",
		       "there are too many fields");
	memset(large, 'x', sizeof(large) - 1);
	memcpy(large, "a=", 2);
	assert_refused_len(large, FORM_MAX_BYTES + 1, "it is too long");
	assert_refused_len(large, FORM_MAX_VALUE + 3, "a value is too long");
}

/* ---- cookies ---- */

static void assert_cookie(const char *field, int wanted, const char *value)
{
	char found[COOKIE_SIZE] = "untouched";

	assert_int_equal(cookie_find(field, "pg", found), wanted);
	assert_string_equal(found, wanted == 0 ? value : "untouched");
}

static void test_cookie_found(void **state)
{
	assert_cookie("pg=abc", 0, "abc");
	assert_cookie("a=1; pg=a-_9; b=2", 0, "a-_9");
	assert_cookie("a=1;pg=\"abc\"", 0, "abc");
	assert_cookie(" pg = abc ", 0, "abc");
	assert_cookie("", -ENOENT, NULL);
	assert_cookie("pgx=1; xpg=2; pg", -ENOENT, NULL);
	assert_cookie("PG=abc", -ENOENT, NULL);
	/* Another domain's, a longer path's: one of them is not ours. */
	assert_cookie("pg=abc; pg=def", -EINVAL, NULL);
	assert_cookie("pg=abc; x=1; pg=abc", -EINVAL, NULL);
	assert_cookie("pg=", -EINVAL, NULL);
	assert_cookie("pg=\"\"", -EINVAL, NULL);
	assert_cookie("pg=\"abc", -EINVAL, NULL);
	assert_cookie("pg=a b", -EINVAL, NULL);
	assert_cookie("pg=a%20", -EINVAL, NULL);
	assert_cookie("pg=a=b", -EINVAL, NULL);
	assert_cookie("pg=0123456789012345678901234567890123456789012345678901234567890123",
		      -EINVAL, NULL);
	assert_cookie("pg=012345678901234567890123456789012345678901234567890123456789012", 0,
		      "012345678901234567890123456789012345678901234567890123456789012");
}

static void test_cookie_set(void **state)
{
	char buf[COOKIE_SET_SIZE];

	assert_string_equal(
		cookie_set_text(
			&(struct cookie_set){ .name = "__Host-pg", .value = "abc", .secure = true },
			buf),
		"__Host-pg=abc; Path=/; HttpOnly; SameSite=Lax; Secure");
	assert_string_equal(
		cookie_set_text(
			&(struct cookie_set){ .name = "pg", .value = "abc", .max_age = 600 }, buf),
		"pg=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=600");
	assert_string_equal(
		cookie_set_text(&(struct cookie_set){ .name = "pg", .value = "", .max_age = 600 },
				buf),
		"pg=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
}

/* ---- tokens ---- */

static void test_csrf(void **state)
{
	char token[CSRF_SIZE], other[CSRF_SIZE];

	/* RFC 4231, test case 2. */
	assert_int_equal(csrf_token("Jefe", "what do ya want for nothing?", token), 0);
	assert_string_equal(token, "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM");
	assert_true(csrf_check("Jefe", "what do ya want for nothing?", token));
	assert_false(csrf_check("Jefe", "what do ya want", token));
	assert_false(csrf_check("jefe", "what do ya want for nothing?", token));
	assert_false(csrf_check("Jefe", "what do ya want for nothing?", NULL));
	assert_false(csrf_check("Jefe", "what do ya want for nothing?", ""));
	memcpy(other, token, sizeof(other));
	other[CSRF_SIZE - 2] ^= 1;
	assert_false(csrf_check("Jefe", "what do ya want for nothing?", other));
	other[CSRF_SIZE - 2] = '\0';
	assert_false(csrf_check("Jefe", "what do ya want for nothing?", other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_html_escapes),  cmocka_unit_test(test_html_numbers),
		cmocka_unit_test(test_html_takes),    cmocka_unit_test(test_form_reads),
		cmocka_unit_test(test_form_is_empty), cmocka_unit_test(test_form_refuses),
		cmocka_unit_test(test_cookie_found),  cmocka_unit_test(test_cookie_set),
		cmocka_unit_test(test_csrf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
