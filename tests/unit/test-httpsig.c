#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/httpsig.h"
#include "common/text.h"
#include "tests/unit/known-keys.h"

#define CREATED	   1800000000u
#define NONCE	   1800000000123u
#define MACHINE	   "pgm:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
#define COMPONENTS "(\"@method\" \"@path\" \"@query\" \"content-digest\" \"peergate-coordinator\")"

/*
 * Made with python3-cryptography from known-keys.h and the request below, by
 * Ed25519PrivateKey.sign() of
 *
 *	"@method": POST
 *	"@path": /v1/map
 *	"@query": ?session=a%20b&seq=7
 *	"content-digest": (as below)
 *	"peergate-coordinator": (as below)
 *	"@signature-params": (as below, without "pg=")
 */
static const char *const known[HTTPSIG_N_FIELDS] = {
	[HTTPSIG_CONTENT_DIGEST] = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
	[HTTPSIG_COORDINATOR] = "pgc:Kay64UG8yvCyLhqU000LxzYeUm0L_hLIl5S8kyKWbdc"
				".QEFCQ0RFRkdISUpLTE1OTw",
	[HTTPSIG_SIGNATURE_INPUT] = "pg=" COMPONENTS ";created=1800000000;nonce=\"1800000000123\""
				    ";keyid=\"" MACHINE "\";alg=\"ed25519\"",
	[HTTPSIG_SIGNATURE] = "pg=:mkaGTXQtn31mlTDHqE4McWETkx2ckR+Hgsw0AZUbAO5pONEoCb1BbH8WJz3pBp"
			      "/nddi/jq+3Wrj7E02qzvYPAg==:",
};

static const struct httpsig_request request = {
	.method = "POST",
	.path = "/v1/map",
	.query = "session=a%20b&seq=7",
	.body = "{\"hello\": \"world\"}",
	.body_len = 18,
};

struct fixture {
	struct ed25519_key *machine, *coordinator;
	struct httpsig_audience audience;
};

static int setup(void **state)
{
	static struct fixture fx;

	fx.machine = known_key(KNOWN_MACHINE);
	fx.coordinator = known_key(KNOWN_COORDINATOR);
	fx.audience = known_audience(fx.coordinator);
	*state = &fx;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;

	ed25519_key_free(fx->machine);
	ed25519_key_free(fx->coordinator);
	return 0;
}

static void collect(struct httpsig_headers *headers, const char *const field[HTTPSIG_N_FIELDS])
{
	memset(headers, 0, sizeof(*headers));
	for (enum httpsig_field f = 0; f < HTTPSIG_N_FIELDS; f++)
		httpsig_collect(headers, httpsig_field_name(f), field[f]);
}

static void parse_known(struct httpsig *ret_sig)
{
	struct httpsig_headers headers;
	char *text = NULL;

	collect(&headers, known);
	assert_int_equal(httpsig_parse(&headers, ret_sig, &text), 0);
	assert_null(text);
}

static void test_sign(void **state)
{
	struct fixture *fx = *state;
	struct httpsig_signed s;

	assert_int_equal(httpsig_sign(fx->machine, &request, &fx->audience, CREATED, NONCE, &s), 0);
	for (enum httpsig_field f = 0; f < HTTPSIG_N_FIELDS; f++)
		assert_string_equal(s.field[f], known[f]);
}

static void test_parse(void **state)
{
	struct fixture *fx = *state;
	struct httpsig sig;

	parse_known(&sig);
	assert_true(ed25519_public_equal(&sig.key, ed25519_key_public(fx->machine)));
	assert_true(ed25519_public_equal(&sig.audience.key, &fx->audience.key));
	assert_memory_equal(&sig.audience.epoch, &fx->audience.epoch, HTTPSIG_EPOCH_BYTES);
	assert_int_equal(sig.created, CREATED);
	assert_int_equal(sig.nonce, NONCE);
}

/* The largest of everything fits, and what is above it is not signed. */
static void test_bounds(void **state)
{
	struct fixture *fx = *state;
	char method[HTTPSIG_MAX_METHOD + 2], path[HTTPSIG_MAX_PATH + 2];
	char query[HTTPSIG_MAX_QUERY + 2];
	struct httpsig_request r = { method, path, query, NULL, 0 };
	struct httpsig_headers headers = { 0 };
	struct httpsig_signed s;
	struct httpsig sig;
	char *text = NULL;

	memset(method, 'X', sizeof(method));
	memset(path, '/', sizeof(path));
	memset(query, '?', sizeof(query));
	method[HTTPSIG_MAX_METHOD] = path[HTTPSIG_MAX_PATH] = query[HTTPSIG_MAX_QUERY] = '\0';
	assert_int_equal(httpsig_sign(fx->machine, &r, &fx->audience, HTTPSIG_MAX_CREATED,
				      HTTPSIG_MAX_NONCE, &s),
			 0);
	for (enum httpsig_field f = 0; f < HTTPSIG_N_FIELDS; f++)
		httpsig_collect(&headers, httpsig_field_name(f), s.field[f]);
	assert_int_equal(httpsig_parse(&headers, &sig, &text), 0);
	assert_int_equal(httpsig_verify(&sig, &r, &fx->audience, HTTPSIG_MAX_CREATED, &text), 0);

	assert_int_equal(
		httpsig_sign(fx->machine, &r, &fx->audience, HTTPSIG_MAX_CREATED + 1, 1, &s),
		-EINVAL);
	assert_int_equal(
		httpsig_sign(fx->machine, &r, &fx->audience, 1, HTTPSIG_MAX_NONCE + 1ull, &s),
		-EINVAL);
	assert_int_equal(httpsig_sign(fx->machine, &r, &fx->audience, 0, 1, &s), -EINVAL);
	assert_int_equal(httpsig_sign(fx->machine, &r, &fx->audience, 1, 0, &s), -EINVAL);
}

static void test_bad_requests(void **state)
{
	struct fixture *fx = *state;
	char long_path[HTTPSIG_MAX_PATH + 2], long_query[HTTPSIG_MAX_QUERY + 2];
	const struct httpsig_request cases[] = {
		{ "", "/" },
		{ "post", "/" },
		{ "PO ST", "/" },
		{ "POST\n", "/" },
		{ "ABCDEFGHIJKLMNOPQ", "/" },
		{ "GET", "" },
		{ "GET", "v1" },
		{ "GET", "*" },
		{ "GET", "/a b" },
		{ "GET", "/a\n\"@query\": ?" },
		{ "GET", "/a?b" },
		{ "GET", "/a#b" },
		{ "GET", "/\xc3\xa4" },
		{ "GET", "/\x7f" },
		{ "GET", "/", "a#b" },
		{ "GET", "/", "a\nb" },
		{ "GET", "/", "a b" },
		{ "GET", "/", "\xc3\xa4" },
		{ "GET", long_path },
		{ "GET", "/", long_query },
	};
	struct httpsig_signed s;
	struct httpsig sig;

	memset(long_path, '/', sizeof(long_path));
	memset(long_query, 'q', sizeof(long_query));
	long_path[sizeof(long_path) - 1] = long_query[sizeof(long_query) - 1] = '\0';
	parse_known(&sig);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = NULL;

		print_message("%zu\n", i);
		assert_int_equal(httpsig_sign(fx->machine, &cases[i], &fx->audience, 1, 1, &s),
				 -EINVAL);
		assert_int_equal(httpsig_verify(&sig, &cases[i], &fx->audience, CREATED, &text),
				 -EINVAL);
		assert_non_null(text);
	}
}

static void expect_verdict(const struct httpsig *sig, const struct httpsig_request *r,
			   const struct httpsig_audience *audience, uint64_t now, int want,
			   const char *want_text)
{
	_cleanup_free_ char *text = NULL;

	assert_int_equal(httpsig_verify(sig, r, audience, now, &text), want);
	if (want == 0) {
		assert_null(text);
		return;
	}
	assert_non_null(text);
	print_message("%s\n", text);
	assert_non_null(strstr(text, want_text));
}

static void test_verify(void **state)
{
	struct fixture *fx = *state;
	struct httpsig sig;

	parse_known(&sig);
	expect_verdict(&sig, &request, &fx->audience, CREATED, 0, NULL);
}

static void test_other_audience(void **state)
{
	struct fixture *fx = *state;
	struct httpsig_audience other = fx->audience;
	struct httpsig sig;

	parse_known(&sig);
	other.key = *ed25519_key_public(fx->machine);
	expect_verdict(&sig, &request, &other, CREATED, -EXDEV,
		       "the key of this one is pgc:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg");
	/* Somebody who says that it was signed for the other: the signature covers that. */
	sig.audience.key = other.key;
	expect_verdict(&sig, &request, &other, CREATED, -EKEYREJECTED, "the signature");

	parse_known(&sig);
	other = fx->audience;
	other.epoch.bytes[15] ^= 1;
	expect_verdict(&sig, &request, &other, CREATED, -ESTALE, "another epoch");
	sig.audience.epoch = other.epoch;
	expect_verdict(&sig, &request, &other, CREATED, -EKEYREJECTED, "the signature");
}

static void test_skew(void **state)
{
	static const struct {
		int64_t ahead; /* the coordinator's clock of the agent's */
		int r;
		const char *text;
	} cases[] = {
		{ 0, 0, NULL },
		{ HTTPSIG_WINDOW, 0, NULL },
		{ -HTTPSIG_WINDOW, 0, NULL },
		{ HTTPSIG_WINDOW + 1, -ETIME, "created 301 seconds before" },
		{ -HTTPSIG_WINDOW - 1, -ETIME, "created 301 seconds after" },
		{ 86400, -ETIME, "created 86400 seconds before" },
		{ -(int64_t)CREATED, -ETIME, "created 1800000000 seconds after" },
	};
	struct fixture *fx = *state;
	struct httpsig sig;

	parse_known(&sig);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t now = (uint64_t)(CREATED + cases[i].ahead);

		assert_int_equal(httpsig_skew(&sig, now), -cases[i].ahead);
		expect_verdict(&sig, &request, &fx->audience, now, cases[i].r, cases[i].text);
	}
	expect_verdict(&sig, &request, &fx->audience, UINT64_MAX, -ETIME, "created");
}

/* One part of the request is not what was signed. */
static void test_other_request(void **state)
{
	struct fixture *fx = *state;
	struct {
		struct httpsig_request r;
		int want;
	} cases[] = {
		{ request, -EKEYREJECTED }, { request, -EKEYREJECTED }, { request, -EKEYREJECTED },
		{ request, -EKEYREJECTED }, { request, -EBADMSG },	{ request, -EBADMSG },
		{ request, -EBADMSG },
	};
	struct httpsig sig;

	cases[0].r.method = "PUT";
	cases[1].r.path = "/v1/map/";
	cases[2].r.query = "session=a%20b&seq=8";
	cases[3].r.query = NULL;
	cases[4].r.body = "{\"hello\": \"World\"}";
	cases[5].r.body_len--;
	cases[6].r.body = NULL;
	cases[6].r.body_len = 0;
	parse_known(&sig);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_verdict(&sig, &cases[i].r, &fx->audience, CREATED, cases[i].want,
			       cases[i].want == -EBADMSG ? "the body (" : "the signature");
}

/* No query, an empty one, and no body. */
static void test_empty(void **state)
{
	struct fixture *fx = *state;
	struct httpsig_request none = { "GET", "/", NULL, NULL, 0 };
	struct httpsig_request empty = { "GET", "/", "", "", 0 };
	struct httpsig_headers headers = { 0 };
	struct httpsig_signed s;
	struct httpsig sig;
	char *text = NULL;

	assert_int_equal(httpsig_sign(fx->machine, &none, &fx->audience, CREATED, 1, &s), 0);
	/* printf '' | openssl dgst -sha256 -binary | base64 */
	assert_string_equal(s.field[HTTPSIG_CONTENT_DIGEST],
			    "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:");
	for (enum httpsig_field f = 0; f < HTTPSIG_N_FIELDS; f++)
		httpsig_collect(&headers, httpsig_field_name(f), s.field[f]);
	assert_int_equal(httpsig_parse(&headers, &sig, &text), 0);
	expect_verdict(&sig, &none, &fx->audience, CREATED, 0, NULL);
	expect_verdict(&sig, &empty, &fx->audience, CREATED, 0, NULL);
}

/* Whatever the fields look like: refused when read, or when verified. */
static void expect_refused(struct fixture *fx, const char *const field[HTTPSIG_N_FIELDS])
{
	_cleanup_free_ char *text = NULL;
	struct httpsig_headers headers;
	struct httpsig sig;
	int r;

	collect(&headers, field);
	r = httpsig_parse(&headers, &sig, &text);
	if (r == 0)
		r = httpsig_verify(&sig, &request, &fx->audience, CREATED, &text);
	assert_true(r < 0);
	assert_non_null(text);
	assert_false(text_has_control(text));
	assert_true(text_is_utf8(text));
}

/* Every byte of every field, replaced, left out, doubled; and the value cut there. */
static void test_mutations(void **state)
{
	static const char others[] = "\x01 \"'();:=,.-_+/09AZaz\x7f\x80\xff";
	struct fixture *fx = *state;

	for (enum httpsig_field f = 0; f < HTTPSIG_N_FIELDS; f++) {
		const char *field[HTTPSIG_N_FIELDS];
		char value[HTTPSIG_MAX_FIELD];
		size_t len = strlen(known[f]);

		memcpy(field, known, sizeof(field));
		field[f] = value;
		for (size_t i = 0; i <= len; i++) {
			for (size_t k = 0; k < sizeof(others) - 1; k++) {
				strcpy(value, known[f]);
				value[i] = others[k];
				value[i < len ? len : len + 1] = '\0';
				if (value[i] != known[f][i])
					expect_refused(fx, field);
			}
			if (i == len)
				break;
			for (unsigned bit = 0; bit < 8; bit++) {
				strcpy(value, known[f]);
				value[i] = (char)(value[i] ^ 1 << bit);
				expect_refused(fx, field);
			}
			strcpy(value, known[f]);
			value[i] = '\0';
			expect_refused(fx, field);
			snprintf(value, sizeof(value), "%.*s%s", (int)i, known[f],
				 known[f] + i + 1);
			if (strcmp(value, known[f]) != 0)
				expect_refused(fx, field);
			snprintf(value, sizeof(value), "%.*s%s", (int)i + 1, known[f],
				 known[f] + i);
			expect_refused(fx, field);
		}
	}
}

#define INPUT(components, params) HTTPSIG_SIGNATURE_INPUT, "pg=" components params
#define KEYID			  ";keyid=\"" MACHINE "\""
#define ALG			  ";alg=\"ed25519\""

/* A request with one field otherwise, and what is said of it. */
static const struct {
	enum httpsig_field field;
	const char *value; /* NULL: missing */
	const char *text;
} refused_fields[] = {
	{ HTTPSIG_CONTENT_DIGEST, NULL, "Content-Digest: missing" },
	{ HTTPSIG_COORDINATOR, NULL, "Peergate-Coordinator: missing" },
	{ HTTPSIG_SIGNATURE_INPUT, NULL, "Signature-Input: missing" },
	{ HTTPSIG_SIGNATURE, NULL, "Signature: missing" },
	{ HTTPSIG_CONTENT_DIGEST, "", "Content-Digest: expected 'sha-256=' at character 1" },
	/* Another algorithm, two of them. */
	{ HTTPSIG_CONTENT_DIGEST,
	  "sha-512=:AA==:", "Content-Digest: expected '256=' at character 5" },
	{ HTTPSIG_CONTENT_DIGEST,
	  "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:, sha-512=:AA==:",
	  "Content-Digest: expected the end at character 55" },
	{ HTTPSIG_CONTENT_DIGEST, "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPF=:",
	  "Content-Digest: expected the base64 of 32 bytes at character 10" },
	{ HTTPSIG_SIGNATURE, "sig1=:AA==:", "Signature: expected 'pg=' at character 1" },
	{ HTTPSIG_SIGNATURE,
	  "pg=:AA==:", "Signature: expected the base64 of 64 bytes at character 5" },
	{ HTTPSIG_COORDINATOR, MACHINE ".QEFCQ0RFRkdISUpLTE1OTw",
	  "Peergate-Coordinator: expected a coordinator's public key ('pgc:' and 43 "
	  "characters) at character 1" },
	{ HTTPSIG_COORDINATOR, "pgc:Kay64UG8yvCyLhqU000LxzYeUm0L_hLIl5S8kyKWbdc",
	  "Peergate-Coordinator: expected '.' at character 48" },
	{ HTTPSIG_COORDINATOR, "pgc:Kay64UG8yvCyLhqU000LxzYeUm0L_hLIl5S8kyKWbdc.QEFCQ0RFRkd",
	  "Peergate-Coordinator: expected an epoch (22 characters) at character 49" },
	/* A key of small order. */
	{ HTTPSIG_COORDINATOR, "pgc:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.", "pgc:" },
	/* Another label, two of them. */
	{ HTTPSIG_SIGNATURE_INPUT, "sig1=()", "Signature-Input: expected 'pg=(" },
	{ INPUT(COMPONENTS, ";created=1;nonce=\"1\"" KEYID ALG ", b=(\"@method\");created=1"),
	  "expected the end" },
	/* Components: one less, one more, another order, with a parameter. */
	{ INPUT("(\"@method\" \"@path\" \"@query\" \"content-digest\")", ";created=1"),
	  "expected ' \"peergate-coordinator\");created=' at character 48" },
	{ INPUT("()", ";created=1"), "at character 5" },
	{ INPUT("(\"@method\" \"@path\" \"@query\" \"content-digest\" "
		"\"peergate-coordinator\" \"date\")",
		";created=1"),
	  "expected ');created=' at character 71" },
	{ INPUT("(\"@path\" \"@method\" \"@query\" \"content-digest\" "
		"\"peergate-coordinator\")",
		";created=1"),
	  "at character 7" },
	{ INPUT("(\"@method\";req \"@path\" \"@query\" \"content-digest\" "
		"\"peergate-coordinator\")",
		";created=1"),
	  "at character 14" },
	/* Parameters: missing, unknown, twice, in another order. */
	{ INPUT(COMPONENTS, ""), "expected ';created='" },
	{ INPUT(COMPONENTS, ";created=1" KEYID ALG), "expected 'nonce=\"'" },
	{ INPUT(COMPONENTS, ";created=1;nonce=\"1\"" KEYID), "expected ';alg=\"ed25519\"'" },
	{ INPUT(COMPONENTS, ";created=1;expires=2;nonce=\"1\"" KEYID ALG), "expected" },
	{ INPUT(COMPONENTS, ";created=1;created=1;nonce=\"1\"" KEYID ALG), "expected" },
	{ INPUT(COMPONENTS, ";created=1;nonce=\"1\"" KEYID ALG ";tag=\"x\""), "expected the end" },
	{ INPUT(COMPONENTS, ";nonce=\"1\";created=1" KEYID ALG), "expected 'created='" },
	{ INPUT(COMPONENTS, ";created=1;nonce=\"1\"" KEYID ";alg=\"hmac-sha256\""),
	  "expected 'ed25519\"'" },
	{ INPUT(COMPONENTS, ";created=1;nonce=\"1\"" KEYID ";alg=\"ed25519"), "expected '\"'" },
	/* Numbers. */
	{ INPUT(COMPONENTS, ";created=01;nonce=\"1\"" KEYID ALG), "a decimal number" },
	{ INPUT(COMPONENTS, ";created=0;nonce=\"1\"" KEYID ALG), "a decimal number" },
	{ INPUT(COMPONENTS, ";created=-1;nonce=\"1\"" KEYID ALG), "a decimal number" },
	{ INPUT(COMPONENTS, ";created=+1;nonce=\"1\"" KEYID ALG), "a decimal number" },
	{ INPUT(COMPONENTS, ";created=;nonce=\"1\"" KEYID ALG), "a decimal number" },
	{ INPUT(COMPONENTS, ";created=1.0;nonce=\"1\"" KEYID ALG), "expected ';nonce=\"'" },
	{ INPUT(COMPONENTS, ";created=1000000000000000;nonce=\"1\"" KEYID ALG),
	  "a decimal number" },
	{ INPUT(COMPONENTS, ";created=1;nonce=\"0\"" KEYID ALG), "a decimal number" },
	{ INPUT(COMPONENTS, ";created=1;nonce=\"9223372036854775808\"" KEYID ALG),
	  "a decimal number" },
	{ INPUT(COMPONENTS, ";created=1;nonce=\"100000000000000000000\"" KEYID ALG),
	  "a decimal number" },
	{ INPUT(COMPONENTS, ";created=1;nonce=1" KEYID ALG), "expected '\"'" },
	/* Keys: of a coordinator, of small order. */
	{ INPUT(COMPONENTS, ";created=1;nonce=\"1\";keyid=\"pgc:"
			    "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\"" ALG),
	  "a machine's public key" },
	{ INPUT(COMPONENTS, ";created=1;nonce=\"1\";keyid=\"pgm:"
			    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"" ALG),
	  "a machine's public key" },
};

static void test_refused_fields(void **state)
{
	struct httpsig untouched, sig;

	memset(&untouched, 0x5a, sizeof(untouched));
	for (size_t i = 0; i < ARRAY_SIZE(refused_fields); i++) {
		_cleanup_free_ char *text = NULL;
		struct httpsig_headers headers;

		print_message("%s\n", refused_fields[i].value ?: "(missing)");
		collect(&headers, known);
		headers.field[refused_fields[i].field] = refused_fields[i].value;
		memcpy(&sig, &untouched, sizeof(sig));
		assert_int_equal(httpsig_parse(&headers, &sig, &text), -EINVAL);
		assert_memory_equal(&sig, &untouched, sizeof(sig));
		print_message("\t%s\n", text);
		assert_non_null(strstr(text, refused_fields[i].text));
		assert_true(strncmp(text, httpsig_field_name(refused_fields[i].field),
				    strlen(httpsig_field_name(refused_fields[i].field))) == 0);
	}
}

static void test_collect(void **state)
{
	for (enum httpsig_field f = 0; f < HTTPSIG_N_FIELDS; f++) {
		_cleanup_free_ char *text = NULL, *want = NULL;
		struct httpsig_headers headers;
		struct httpsig sig;

		collect(&headers, known);
		httpsig_collect(&headers, "X-Signature", "pg=:x:");
		httpsig_collect(&headers, "Signature-", "pg=:x:");
		assert_int_equal(httpsig_parse(&headers, &sig, &text), 0);
		/* The same value twice is twice too. */
		for (unsigned n = 0; n < 2; n++) {
			httpsig_collect(&headers, httpsig_field_name(f), known[f]);
			assert_int_equal(httpsig_parse(&headers, &sig, &text), -EINVAL);
			want = text_printf("%s: there more than once", httpsig_field_name(f));
			assert_string_equal(text, want);
			free(take_ptr(text));
			free(take_ptr(want));
		}
	}
}

static void test_names_in_any_case(void **state)
{
	struct httpsig_headers headers = { 0 };
	struct httpsig sig;
	char *text = NULL;

	httpsig_collect(&headers, "content-digest", known[HTTPSIG_CONTENT_DIGEST]);
	httpsig_collect(&headers, "peergate-coordinator", known[HTTPSIG_COORDINATOR]);
	httpsig_collect(&headers, "SIGNATURE-INPUT", known[HTTPSIG_SIGNATURE_INPUT]);
	httpsig_collect(&headers, "sIGNATURE", known[HTTPSIG_SIGNATURE]);
	assert_int_equal(httpsig_parse(&headers, &sig, &text), 0);
}

static void test_epoch(void **state)
{
	struct httpsig_epoch a, b, again;
	char text[HTTPSIG_EPOCH_LEN];

	assert_int_equal(httpsig_epoch_generate(&a), 0);
	assert_int_equal(httpsig_epoch_generate(&b), 0);
	assert_memory_not_equal(&a, &b, sizeof(a));
	httpsig_epoch_to_string(&a, text);
	assert_int_equal(strlen(text), HTTPSIG_EPOCH_LEN - 1);
	assert_int_equal(httpsig_epoch_parse(text, strlen(text), &again), 0);
	assert_memory_equal(&a, &again, sizeof(a));
	assert_int_equal(httpsig_epoch_parse(text, strlen(text) - 1, &again), -EINVAL);
	/* Stray bits: 16 bytes leave four. */
	assert_int_equal(httpsig_epoch_parse("AAAAAAAAAAAAAAAAAAAAAB", 22, &again), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_other_audience),
		cmocka_unit_test(test_skew),
		cmocka_unit_test(test_other_request),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_refused_fields),
		cmocka_unit_test(test_collect),
		cmocka_unit_test(test_names_in_any_case),
		cmocka_unit_test(test_epoch),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
