#include "sshgw/keys/hostkeys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/libssh/private.h"

#define SYSTEM_DIR    "/etc/ssh"
#define EXCHANGE_HASH 32 /* SHA-256: all that the net process negotiates */
#define MAX_KEY_BYTES (64u << 10)

static const char *const file_names[MSG_MAX_KEYS] = {
	"ssh_host_ed25519_key",
	"ssh_host_ecdsa_key",
	"ssh_host_rsa_key",
};

/* What tells one state of a file from another. All zero: no file. */
struct stamp {
	dev_t dev;
	ino_t ino;
	struct timespec changed;
};

struct hostkeys {
	unsigned n_refs;
	char *own_dir;
	struct stamp stamps[2 * MSG_MAX_KEYS]; /* of the files in both directories */
	ssh_key keys[MSG_MAX_KEYS];
	struct msg_blob public[MSG_MAX_KEYS];
	size_t n;
};

/* ---- which files they are from ---- */

static void take_stamp(const char *dir, const char *name, struct stamp *ret_stamp)
{
	_cleanup_free_ char *path = text_printf("%s/%s", dir, name);
	struct stat st;

	*ret_stamp = (struct stamp){ 0 };
	if (path && stat(path, &st) == 0)
		*ret_stamp =
			(struct stamp){ .dev = st.st_dev, .ino = st.st_ino, .changed = st.st_ctim };
}

static void take_stamps(const char *own_dir, struct stamp ret_stamps[2 * MSG_MAX_KEYS])
{
	for (size_t i = 0; i < ARRAY_SIZE(file_names); i++) {
		take_stamp(SYSTEM_DIR, file_names[i], &ret_stamps[2 * i]);
		take_stamp(own_dir, file_names[i], &ret_stamps[2 * i + 1]);
	}
}

static bool stamp_equal(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

bool hostkeys_are_stale(const struct hostkeys *keys)
{
	struct stamp now[2 * MSG_MAX_KEYS];

	take_stamps(keys->own_dir, now);
	for (size_t i = 0; i < ARRAY_SIZE(now); i++)
		if (!stamp_equal(&now[i], &keys->stamps[i]))
			return true;
	return false;
}

/* ---- loading ---- */

struct hostkeys *hostkeys_ref(struct hostkeys *keys)
{
	keys->n_refs++;
	return keys;
}

struct hostkeys *hostkeys_unref(struct hostkeys *keys)
{
	if (!keys || --keys->n_refs > 0)
		return NULL;
	for (size_t i = 0; i < keys->n; i++) {
		ssh_key_free(keys->keys[i]);
		free(keys->public[i].data);
	}
	free(keys->own_dir);
	free(keys);
	return NULL;
}

static bool type_is_usable(ssh_key key)
{
	enum ssh_keytypes_e type = ssh_key_type(key);

	return type == SSH_KEYTYPE_ED25519 || type == SSH_KEYTYPE_ECDSA_P256 ||
	       type == SSH_KEYTYPE_RSA;
}

static int copy_public(ssh_key key, struct msg_blob *ret_blob)
{
	ssh_string string = NULL;
	struct msg_blob blob = { 0 };

	if (ssh_pki_export_pubkey_blob(key, &string) != SSH_OK)
		return -EIO;
	blob.len = ssh_string_len(string);
	blob.data = malloc(blob.len);
	if (blob.data)
		memcpy(blob.data, ssh_string_data(string), blob.len);
	ssh_string_free(string);
	if (!blob.data)
		return -ENOMEM;
	*ret_blob = blob;
	return 0;
}

static void load_file(struct hostkeys *keys, const char *dir, const char *name)
{
	_cleanup_free_ char *path = text_printf("%s/%s", dir, name);
	ssh_key key = NULL;
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return;
	if (st.st_uid != 0 || st.st_mode & (S_IRWXG | S_IRWXO)) {
		log_warning("Host key %s: others than root may read it, not using it", path);
		return;
	}
	if (ssh_pki_import_privkey_file(path, NULL, NULL, NULL, &key) != SSH_OK) {
		log_warning("Host key %s cannot be read (encrypted or damaged), not using it",
			    path);
		return;
	}
	if (!type_is_usable(key) || copy_public(key, &keys->public[keys->n]) < 0) {
		log_warning("Host key %s has a type that the gateway does not use", path);
		ssh_key_free(key);
		return;
	}
	keys->keys[keys->n++] = key;
}

static int load_from(struct hostkeys *keys, const char *dir)
{
	for (size_t i = 0; i < ARRAY_SIZE(file_names); i++)
		load_file(keys, dir, file_names[i]);
	return keys->n > 0 ? 0 : -ENOKEY;
}

/* libssh writes to a name; from there it goes to its place whole, synced, and never over another.
 */
static int write_key(ssh_key key, const char *path)
{
	_cleanup_free_ char *temporary = text_printf("%s.%d.new", path, (int)getpid());
	_cleanup_free_ char *pem = NULL;
	mode_t old = umask(0077);
	size_t len = 0;
	int r = temporary ? 0 : -ENOMEM;

	if (r == 0 && ssh_pki_export_privkey_file(key, NULL, NULL, NULL, temporary) != SSH_OK)
		r = -EIO;
	umask(old);
	if (r == 0)
		r = file_read(AT_FDCWD, temporary, MAX_KEY_BYTES, &pem, &len);
	if (temporary)
		unlink(temporary);
	if (r == 0)
		r = file_write_new(AT_FDCWD, path, pem, len, 0600);
	if (pem)
		explicit_bzero(pem, len);
	return r;
}

static int make_key(const char *own_dir)
{
	_cleanup_free_ char *path = text_printf("%s/%s", own_dir, file_names[0]);
	ssh_key key = NULL;
	int r = path ? 0 : -ENOMEM;

	if (r == 0 && ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) != SSH_OK)
		r = -EIO;
	if (r == 0)
		r = write_key(key, path);
	ssh_key_free(key);
	/* Another listener's process may have been first. */
	if (r < 0 && r != -EEXIST)
		return log_error_errno(r, "Could not make a host key in %s", own_dir);
	if (r == 0)
		log_notice("Made host key %s, since %s has none", path, SYSTEM_DIR);
	return 0;
}

int hostkeys_load(const char *own_dir, struct hostkeys **ret_keys)
{
	_cleanup_(hostkeys_unrefp) struct hostkeys *keys = calloc(1, sizeof(*keys));
	int r;

	if (!keys)
		return -ENOMEM;
	keys->n_refs = 1;
	keys->own_dir = strdup(own_dir);
	if (!keys->own_dir)
		return -ENOMEM;
	/* Before they are read: what changes meanwhile is seen as a change. */
	take_stamps(own_dir, keys->stamps);
	r = load_from(keys, SYSTEM_DIR);
	if (r < 0)
		r = load_from(keys, own_dir);
	if (r < 0 && make_key(own_dir) == 0) {
		take_stamps(own_dir, keys->stamps);
		r = load_from(keys, own_dir);
	}
	if (r < 0)
		return log_error_errno(r, "No SSH host key in %s or %s", SYSTEM_DIR, own_dir);
	*ret_keys = take_ptr(keys);
	return 0;
}

size_t hostkeys_public(const struct hostkeys *keys, struct msg_blob ret_blobs[MSG_MAX_KEYS])
{
	memcpy(ret_blobs, keys->public, sizeof(keys->public));
	return keys->n;
}

static bool digest_fits(ssh_key key, uint32_t digest)
{
	switch (ssh_key_type(key)) {
	case SSH_KEYTYPE_ED25519:
		return digest == SSH_DIGEST_AUTO;
	case SSH_KEYTYPE_ECDSA_P256:
		return digest == SSH_DIGEST_SHA256;
	case SSH_KEYTYPE_RSA:
		return digest == SSH_DIGEST_SHA256 || digest == SSH_DIGEST_SHA512;
	default:
		return false;
	}
}

static bool is_sound(const struct hostkeys *keys, const struct msg_sign *request)
{
	return request->key < keys->n && request->hash_len == EXCHANGE_HASH &&
	       digest_fits(keys->keys[request->key], request->digest);
}

static int sign(ssh_key key, uint32_t digest, const uint8_t *data, size_t len,
		struct msg_blob *ret_signature)
{
	struct msg_blob blob = { 0 };
	ssh_signature signature;
	ssh_string string = NULL;

	signature = pki_sign_data(key, (enum ssh_digest_e)digest, data, len);
	if (!signature)
		return -EIO;
	if (ssh_pki_export_signature_blob(signature, &string) == SSH_OK) {
		blob.len = ssh_string_len(string);
		blob.data = malloc(blob.len);
		if (blob.data)
			memcpy(blob.data, ssh_string_data(string), blob.len);
	}
	ssh_signature_free(signature);
	ssh_string_free(string);
	if (!blob.data)
		return -EIO;
	*ret_signature = blob;
	return 0;
}

int hostkeys_sign(const struct hostkeys *keys, const struct msg_sign *request,
		  struct msg_blob *ret_signature)
{
	if (!is_sound(keys, request))
		return -EINVAL;
	return sign(keys->keys[request->key], request->digest, request->hash, request->hash_len,
		    ret_signature);
}

int hostkeys_prove(const struct hostkeys *keys, const struct msg_sign *request,
		   struct msg_blob *ret_signature)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	if (!is_sound(keys, request))
		return -EINVAL;
	chan_put_string(&w, "hostkeys-prove-00@openssh.com");
	chan_put_bytes(&w, request->hash, request->hash_len);
	chan_put_bytes(&w, keys->public[request->key].data, keys->public[request->key].len);
	if (w.error)
		return w.error;
	return sign(keys->keys[request->key], request->digest, w.data, w.len, ret_signature);
}
