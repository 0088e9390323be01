/*
 * Host keys on both sides: what the monitor loads and signs with, and the dummies that stand for
 * them in the network process. Keys are made by ssh-keygen, in an /etc/ssh that only this process
 * sees; signatures are checked by libcrypto.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/keys/hostkeys.h"
#include "sshgw/libssh/private.h"
#include "sshgw/net/hostkey.h"

#define DIR	    "/etc/ssh"
#define ED25519_KEY DIR "/ssh_host_ed25519_key"
#define ECDSA_KEY   DIR "/ssh_host_ecdsa_key"
#define RSA_KEY	    DIR "/ssh_host_rsa_key"
#define OWN_DIR	    DIR "/own"
#define OWN_KEY	    OWN_DIR "/ssh_host_ed25519_key"

/* In the order of NET_SIGN's index. */
static const struct key_file {
	const char *path, *options;
	enum ssh_keytypes_e type;
} key_files[] = {
	{ ED25519_KEY, "-t ed25519", SSH_KEYTYPE_ED25519 },
	{ ECDSA_KEY, "-t ecdsa -b 256", SSH_KEYTYPE_ECDSA_P256 },
	{ RSA_KEY, "-t rsa -b 2048", SSH_KEYTYPE_RSA },
};

static void run(const char *fmt, ...) _printf_(1, 2);

static void run(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("%s", command);
}

static void keygen(const char *path, const char *options)
{
	run("rm -f %s && ssh-keygen -q -N '' %s -f %s </dev/null", path, options, path);
}

/* The blob in "TYPE BASE64 COMMENT". */
static struct msg_blob read_public(const char *private_path)
{
	_cleanup_free_ char *path = text_printf("%s.pub", private_path), *text = NULL;
	char *rest, *word;
	struct msg_blob blob = { 0 };
	size_t len, pad = 0;

	assert_int_equal(file_read(AT_FDCWD, path, 8192, &text, &len), 0);
	rest = text;
	strsep(&rest, " ");
	word = strsep(&rest, " ");
	len = strlen(word);
	blob.data = malloc(len);
	while (len > pad && word[len - 1 - pad] == '=')
		pad++;
	blob.len = (size_t)EVP_DecodeBlock(blob.data, (unsigned char *)word, (int)len) - pad;
	return blob;
}

static void expect_blob(const struct msg_blob *blob, const char *private_path)
{
	struct msg_blob want = read_public(private_path);

	assert_int_equal(blob->len, want.len);
	assert_memory_equal(blob->data, want.data, want.len);
	free(want.data);
}

static int load(struct hostkeys **ret_keys)
{
	return hostkeys_load(OWN_DIR, ret_keys);
}

/* ---- loading ---- */

static void test_load_all(void **state)
{
	_cleanup_(hostkeys_unrefp) struct hostkeys *keys = NULL;
	struct msg_blob public[MSG_MAX_KEYS];

	assert_int_equal(load(&keys), 0);
	assert_int_equal(hostkeys_public(keys, public), ARRAY_SIZE(key_files));
	for (size_t i = 0; i < ARRAY_SIZE(key_files); i++)
		expect_blob(&public[i], key_files[i].path);
}

/* Only key "left" is loaded. */
static void expect_only(const char *left)
{
	_cleanup_(hostkeys_unrefp) struct hostkeys *keys = NULL;
	struct msg_blob public[MSG_MAX_KEYS];

	assert_int_equal(load(&keys), 0);
	assert_int_equal(hostkeys_public(keys, public), 1);
	expect_blob(&public[0], left);
}

static void test_useless_keys_are_passed_over(void **state)
{
	unlink(ED25519_KEY);
	assert_int_equal(file_write_atomic(AT_FDCWD, ECDSA_KEY, "no key\n", 7, 0600), 0);
	expect_only(RSA_KEY);
	/* A type that the network process does not negotiate. */
	keygen(ECDSA_KEY, "-t ecdsa -b 384");
	expect_only(RSA_KEY);
	run("ssh-keygen -q -p -N secret -f %s </dev/null >/dev/null", ECDSA_KEY);
	expect_only(RSA_KEY);
	/* Others may read it: not secret. */
	keygen(ECDSA_KEY, "-t ecdsa -b 256");
	assert_int_equal(chmod(ECDSA_KEY, 0640), 0);
	expect_only(RSA_KEY);
	assert_int_equal(chmod(ECDSA_KEY, 0604), 0);
	expect_only(RSA_KEY);
	assert_int_equal(chmod(ECDSA_KEY, 0600), 0);
	assert_int_equal(chown(ECDSA_KEY, 4242, 0), 0);
	expect_only(RSA_KEY);
	assert_int_equal(chown(ECDSA_KEY, 0, 0), 0);
	unlink(RSA_KEY);
	expect_only(ECDSA_KEY);
}

static void test_makes_its_own(void **state)
{
	_cleanup_(hostkeys_unrefp) struct hostkeys *first = NULL, *second = NULL;
	struct msg_blob a[MSG_MAX_KEYS], b[MSG_MAX_KEYS];
	struct stat st;

	run("rm -f " DIR "/ssh_host_*");
	assert_int_equal(load(&first), -ENOKEY);
	assert_int_equal(mkdir(OWN_DIR, 0700), 0);
	assert_int_equal(load(&first), 0);
	assert_int_equal(hostkeys_public(first, a), 1);
	assert_int_equal(stat(OWN_KEY, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* It is made once. */
	assert_int_equal(load(&second), 0);
	assert_int_equal(hostkeys_public(second, b), 1);
	assert_int_equal(a[0].len, b[0].len);
	assert_memory_equal(a[0].data, b[0].data, a[0].len);
	run("test $(ls -A %s | wc -l) = 1", OWN_DIR);
}

/* ---- signing ---- */

static struct msg_sign hash_request(uint32_t key, uint32_t digest)
{
	struct msg_sign request = { .key = key, .digest = digest, .hash_len = 32 };

	for (size_t i = 0; i < sizeof(request.hash); i++)
		request.hash[i] = (uint8_t)(i * 7);
	return request;
}

static EVP_PKEY *read_pkey(const struct key_file *file)
{
	_cleanup_free_ char *command = text_printf("ssh-keygen -e -m PKCS8 -f %s.pub", file->path);
	struct msg_blob blob;
	EVP_PKEY *pkey;
	FILE *pipe;

	if (file->type == SSH_KEYTYPE_ED25519) {
		blob = read_public(file->path);
		pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
						   blob.data + blob.len - 32, 32);
		free(blob.data);
		return pkey;
	}
	pipe = popen(command, "r");
	pkey = PEM_read_PUBKEY(pipe, NULL, NULL, NULL);
	pclose(pipe);
	return pkey;
}

/* RFC 5656 section 3.1.2: two integers; libcrypto wants DER. */
static int ecdsa_to_der(struct chan_reader r, unsigned char **ret_der)
{
	size_t r_len, s_len;
	const uint8_t *r_bytes = chan_get_bytes(&r, 64, &r_len);
	const uint8_t *s_bytes = chan_get_bytes(&r, 64, &s_len);
	ECDSA_SIG *sig = ECDSA_SIG_new();
	int len;

	assert_int_equal(chan_reader_end(&r), 0);
	ECDSA_SIG_set0(sig, BN_bin2bn(r_bytes, (int)r_len, NULL),
		       BN_bin2bn(s_bytes, (int)s_len, NULL));
	len = i2d_ECDSA_SIG(sig, ret_der);
	ECDSA_SIG_free(sig);
	return len;
}

static bool verify(const struct key_file *file, const EVP_MD *md, const struct msg_blob *signature,
		   const char *want_name, const uint8_t *data, size_t data_len)
{
	struct chan_reader r = { .data = signature->data, .len = signature->len };
	_cleanup_free_ char *name = chan_get_string(&r, 64);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY *pkey = read_pkey(file);
	unsigned char *der = NULL;
	const uint8_t *raw;
	size_t len;
	int ok;

	raw = chan_get_bytes(&r, 4096, &len);
	assert_int_equal(chan_reader_end(&r), 0);
	assert_string_equal(name, want_name);
	assert_non_null(pkey);
	if (file->type == SSH_KEYTYPE_ECDSA_P256) {
		len = (size_t)ecdsa_to_der((struct chan_reader){ .data = raw, .len = len }, &der);
		raw = der;
	}
	ok = EVP_DigestVerifyInit(ctx, NULL, md, NULL, pkey) == 1 &&
	     EVP_DigestVerify(ctx, raw, len, data, data_len) == 1;
	OPENSSL_free(der);
	EVP_PKEY_free(pkey);
	EVP_MD_CTX_free(ctx);
	return ok;
}

static void test_signatures_verify(void **state)
{
	const struct {
		uint32_t key, digest;
		const char *name;
		const EVP_MD *md;
	} cases[] = {
		{ 0, SSH_DIGEST_AUTO, "ssh-ed25519", NULL },
		{ 1, SSH_DIGEST_SHA256, "ecdsa-sha2-nistp256", EVP_sha256() },
		{ 2, SSH_DIGEST_SHA256, "rsa-sha2-256", EVP_sha256() },
		{ 2, SSH_DIGEST_SHA512, "rsa-sha2-512", EVP_sha512() },
	};
	_cleanup_(hostkeys_unrefp) struct hostkeys *keys = NULL;

	assert_int_equal(load(&keys), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct msg_sign request = hash_request(cases[i].key, cases[i].digest);
		const struct key_file *file = &key_files[cases[i].key];
		struct msg_blob signature = { 0 };

		print_message("%s\n", cases[i].name);
		assert_int_equal(hostkeys_sign(keys, &request, &signature), 0);
		assert_true(verify(file, cases[i].md, &signature, cases[i].name, request.hash, 32));
		request.hash[0] ^= 1;
		assert_false(
			verify(file, cases[i].md, &signature, cases[i].name, request.hash, 32));
		free(signature.data);
	}
}

/* What PROTOCOL of OpenSSH says is signed, put together once more. */
static void test_proofs_verify(void **state)
{
	static const struct {
		uint32_t key, digest;
		const char *name;
	} cases[] = {
		{ 0, SSH_DIGEST_AUTO, "ssh-ed25519" },
		{ 1, SSH_DIGEST_SHA256, "ecdsa-sha2-nistp256" },
		{ 2, SSH_DIGEST_SHA256, "rsa-sha2-256" },
		{ 2, SSH_DIGEST_SHA512, "rsa-sha2-512" },
	};
	_cleanup_(hostkeys_unrefp) struct hostkeys *keys = NULL;

	assert_int_equal(load(&keys), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct msg_sign request = hash_request(cases[i].key, cases[i].digest);
		const struct key_file *file = &key_files[cases[i].key];
		const EVP_MD *md = cases[i].digest == SSH_DIGEST_AUTO	  ? NULL
				   : cases[i].digest == SSH_DIGEST_SHA512 ? EVP_sha512()
									  : EVP_sha256();
		struct msg_blob signature = { 0 }, blob = read_public(file->path);
		uint8_t data[4096] = "\0\0\0\35hostkeys-prove-00@openssh.com\0\0\0\40";

		memcpy(data + 37, request.hash, 32);
		data[71] = (uint8_t)(blob.len >> 8);
		data[72] = (uint8_t)blob.len;
		memcpy(data + 73, blob.data, blob.len);
		print_message("%s\n", cases[i].name);
		assert_int_equal(hostkeys_prove(keys, &request, &signature), 0);
		assert_true(verify(file, md, &signature, cases[i].name, data, 73 + blob.len));
		assert_false(verify(file, md, &signature, cases[i].name, request.hash, 32));
		free(signature.data);
		free(blob.data);
	}
}

static void refuses(const struct hostkeys *keys, const struct msg_sign *request)
{
	struct msg_blob signature = { .len = 4711 };

	assert_int_equal(hostkeys_sign(keys, request, &signature), -EINVAL);
	assert_int_equal(hostkeys_prove(keys, request, &signature), -EINVAL);
	assert_int_equal(signature.len, 4711);
}

static void test_refuses_to_sign(void **state)
{
	static const size_t lengths[] = { 0, 1, 20, 31, 33, 48, 64 };
	static const uint32_t indices[] = { 3, 4, 0x80000000, UINT32_MAX };
	/* per key, a bit for each digest that fits it */
	static const unsigned fits[] = { 1u << SSH_DIGEST_AUTO, 1u << SSH_DIGEST_SHA256,
					 1u << SSH_DIGEST_SHA256 | 1u << SSH_DIGEST_SHA512 };
	_cleanup_(hostkeys_unrefp) struct hostkeys *keys = NULL;
	struct msg_sign request;

	assert_int_equal(load(&keys), 0);
	for (uint32_t key = 0; key < ARRAY_SIZE(fits); key++) {
		for (uint32_t digest = 0; digest < 8; digest++) {
			if (fits[key] & 1u << digest)
				continue;
			request = hash_request(key, digest);
			print_message("key %u digest %u\n", key, digest);
			refuses(keys, &request);
		}
		request = hash_request(key, UINT32_MAX);
		refuses(keys, &request);
	}
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		request = hash_request(0, SSH_DIGEST_AUTO);
		request.hash_len = lengths[i];
		refuses(keys, &request);
	}
	for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
		request = hash_request(indices[i], SSH_DIGEST_AUTO);
		refuses(keys, &request);
	}
}

/* ---- dummies ---- */

static void test_dummy_has_the_public_half(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(key_files); i++) {
		struct msg_blob blob = read_public(key_files[i].path);
		ssh_string exported = NULL;
		ssh_key key = NULL;

		print_message("%s\n", key_files[i].path);
		assert_int_equal(hostkey_dummy(&blob, &key), 0);
		assert_int_equal(ssh_key_type(key), key_files[i].type);
		assert_true(ssh_key_is_private(key));
		assert_int_equal(ssh_pki_export_pubkey_blob(key, &exported), SSH_OK);
		assert_int_equal(ssh_string_len(exported), blob.len);
		assert_memory_equal(ssh_string_data(exported), blob.data, blob.len);
		ssh_string_free(exported);
		ssh_key_free(key);
		free(blob.data);
	}
}

/* A blob that is cut short anywhere is no key. */
static void test_dummy_of_less(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(key_files); i++) {
		struct msg_blob blob = read_public(key_files[i].path);

		for (size_t len = 0; len < blob.len; len++) {
			_cleanup_free_ uint8_t *exact = malloc(len ? len : 1);
			ssh_key key = (ssh_key)state;

			memcpy(exact, blob.data, len);
			assert_int_equal(hostkey_dummy(&(struct msg_blob){ exact, len }, &key),
					 -EINVAL);
			assert_ptr_equal(key, state);
		}
		free(blob.data);
	}
}

static void test_dummy_of_other_things(void **state)
{
	static const struct {
		const char *type;
		size_t len;
	} cases[] = {
		{ "ssh-ed25519", 31 },
		{ "ssh-ed25519", 33 },
		{ "ssh-ed25519", 0 },
		{ "ssh-dss", 32 },
		{ "", 32 },
		{ "ecdsa-sha2-nistp384", 97 },
		{ "ssh-ed448", 57 },
		{ "a-type-whose-name-is-longer-than-any-that-there-could-ever-be-one", 32 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
		uint8_t filler[128] = { 1 };
		ssh_key key = (ssh_key)state;

		print_message("%s, %zu bytes\n", cases[i].type, cases[i].len);
		chan_put_string(&w, cases[i].type);
		chan_put_bytes(&w, filler, cases[i].len);
		assert_int_equal(hostkey_dummy(&(struct msg_blob){ w.data, w.len }, &key), -EINVAL);
		assert_ptr_equal(key, state);
	}
}

/* ---- an /etc/ssh of our own ---- */

static void no_log(void *userdata, int level, const char *text)
{
}

static int setup(void **state)
{
	log_set_sink(no_log, NULL);
	if (mount("none", DIR, "tmpfs", 0, "mode=0755") < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(key_files); i++)
		keygen(key_files[i].path, key_files[i].options);
	return 0;
}

static int teardown(void **state)
{
	return umount(DIR);
}

#define WITH_KEYS(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_KEYS(test_load_all),
		WITH_KEYS(test_useless_keys_are_passed_over),
		WITH_KEYS(test_makes_its_own),
		WITH_KEYS(test_signatures_verify),
		WITH_KEYS(test_proofs_verify),
		WITH_KEYS(test_refuses_to_sign),
		WITH_KEYS(test_dummy_has_the_public_half),
		WITH_KEYS(test_dummy_of_less),
		WITH_KEYS(test_dummy_of_other_things),
	};

	if (access(DIR, F_OK) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		fprintf(stderr, "Needs " DIR " and a mount namespace of its own (root), skipped\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
