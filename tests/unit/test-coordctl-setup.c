/* coordctl and the coordinator's own files: backups, and setting up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/ctl/offline.h"
#include "tests/unit/coordctl-fixture.h"
#include "tests/unit/golden.h"

/* ---- backup and restore ---- */

static void test_backup_and_restore(void **state)
{
	struct server *server = *state;
	_cleanup_(run_done) struct run backup = { 0 }, restore = { 0 }, broken = { 0 };
	_cleanup_free_ char *file = text_printf("%s/backup", server->folder);
	_cleanup_free_ char *store = text_printf("%s/" OFFLINE_STORE, server->folder);
	_cleanup_free_ char *lock = text_printf("%s.lock", store);
	struct ctl ctl = ctl_for(server);
	struct stat st;

	if (geteuid() != 0)
		skip();
	RUN(server, &backup, "backup", file);
	if (backup.status != CLI_OK)
		fail_msg("%s", backup.err);
	assert_non_null(strstr(backup.out, "coordinator.key"));
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	ctl.state_dir = server->folder;
	run_ctl(&ctl, (const char *[]){ "restore", file, NULL }, &restore);
	if (restore.status != CLI_OK)
		fail_msg("%s", restore.err);
	assert_non_null(strstr(restore.out, "restored"));
	assert_non_null(strstr(restore.err, "coordinator.key: No such file"));
	assert_int_equal(truncate(file, st.st_size / 2), 0);
	ctl = ctl_for(server);
	ctl.state_dir = server->folder;
	run_ctl(&ctl, (const char *[]){ "restore", file, NULL }, &broken);
	assert_int_equal(broken.status, CTL_NO_ANSWER);
	unlink(file);
	unlink(store);
	unlink(lock);
}

/* ---- setting up ---- */

static void test_config_text(void **state)
{
	const struct offline_config plain = { .url = "https://coord.example" };
	const struct offline_config tls = { .url = "https://coord.example:8443",
					    .listen = "192.0.2.1:8443",
					    .certificate = "/etc/c.pem",
					    .private_key = "/etc/c.key" };
	_cleanup_free_ char *first = NULL, *second = NULL, *error = NULL;

	assert_int_equal(offline_config_text(&plain, &error, &first), 0);
	golden_check("coordctl-online/coord-plain.conf", first);
	assert_int_equal(offline_config_text(&tls, &error, &second), 0);
	golden_check("coordctl-online/coord-tls.conf", second);
}

static void test_config_text_refused(void **state)
{
	static const struct offline_config cases[] = {
		{ .url = "coord.example" },
		{ .url = "https://coord.example/" },
		{ .url = "https://coord.example\nListen=[::]:80" },
		{ .url = "https://coord.example", .listen = "here" },
		{ .url = "https://coord.example", .listen = "[::]:443\nLogLevel=debug" },
		{ .url = "https://coord.example", .certificate = "/etc/c.pem" },
		{ .url = "https://coord.example", .certificate = "c.pem", .private_key = "c.key" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = NULL, *error = NULL;

		assert_int_equal(offline_config_text(&cases[i], &error, &text), -EINVAL);
		assert_non_null(error);
		assert_null(text);
	}
}

static void test_set_up(void **state)
{
	char folder[] = "/tmp/coordctl-init-XXXXXX", key[ED25519_TEXT_LEN], again[ED25519_TEXT_LEN];
	static const char *const made[] = { OFFLINE_STORE, OFFLINE_STORE ".lock", OFFLINE_KEY };
	_cleanup_free_ char *error = NULL, *bad = NULL;

	assert_non_null(mkdtemp(folder));
	assert_int_equal(offline_set_up(folder, "not a domain", &bad, key), -EINVAL);
	assert_non_null(strstr(bad, "domain"));
	assert_int_equal(offline_set_up(folder, "mesh.example", &error, key), 0);
	/* Once more: it is all there, the key too. */
	assert_int_equal(offline_set_up(folder, "mesh.example", &error, again), 0);
	assert_string_equal(again, key);
	assert_int_equal(offline_set_up(folder, "other.example", &error, key), -EEXIST);
	assert_non_null(strstr(error, "mesh.example"));
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		_cleanup_free_ char *path = text_printf("%s/%s", folder, made[i]);

		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(folder), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		COORDCTL_TEST(test_backup_and_restore),
		cmocka_unit_test(test_config_text),
		cmocka_unit_test(test_config_text_refused),
		cmocka_unit_test(test_set_up),
	};

	if (argc == 3 && strcmp(argv[1], "--serve") == 0)
		return coordctl_serve(argv[2]);
	return cmocka_run_group_tests(tests, coordctl_enter_data, NULL);
}
