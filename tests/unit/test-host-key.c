#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/host_key.h"

/* As ssh-keygen(1) made them, without the comment. */
static const char *const good[] = {
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9",
	"ecdsa-sha2-nistp256 "
	"AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBNn4aDSjboijW00FH44v/"
	"ciEldc+LSLPReY+QJHDyk/LO+u+Uvl5vRz/1WyL51+iMExSYy6Ma7fMD6h0muI3xFM=",
	"ecdsa-sha2-nistp384 "
	"AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBLUdWO0Qi5PB61dhTH8icJ1gCB8TyISZYTwm7p"
	"1vfXb/mJGJdikknGS/opux/WBhkLDfwJYQeFO0QzvTYvmx3MpRlG27PtatC+CE1V6hSZEL7Wm8yA9tCZ9Bd/"
	"jKGb3cJA==",
	"ecdsa-sha2-nistp521 "
	"AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBABQklI7jXCPQyjUxnYkmb2utUU3qZuRQYL4B9"
	"+Uq5sp2Dn8eRWBvdqKMHKJKJlEGKHU4BgiCF5FGXOsuk0vFHZ8WAE+"
	"NNi8n3l1huB2wjY6yp17kqjr4r0LuhJzlc49ZjPfebnsIsRnaY8Tr4Icauy4NI/wN0mOq7lwetCWME6gvK06CQ==",
	"ssh-rsa "
	"AAAAB3NzaC1yc2EAAAADAQABAAABAQCi4k4BWacRmW/"
	"ZHx34AbA8h1tD2mgJnDctyJxoEDVImegmcpf3VHOjIXNWBNdyZcpwYO1JgEVCHnf8/aWQWToQp9zpm/"
	"gthJIOiuXKbwZT0Rvw1iHlwHaV/"
	"92TrcMzpTqpw9GQKZmE0GsFMgoyAsFeQ0WbZxSXdGCb8BfQEtPlvkUT+fDZJaQ1YfUmbeg/"
	"h9VrWCV1QUDtkOv8YMmLXTezUhKETPjlSc/"
	"fXZEy8oc2rTnwEodNTMZzSPY1+MgBPrrCnJ5C3FSokK+"
	"RaTIFxevTLijlzXbTsLAJbi0spPwrCzbxqQiNINPoNxAVluAqgTigovdj6xFz7vW5f7Nddf2D",
};

static void test_accepts(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		const char *problem = NULL;

		assert_int_equal(host_key_check(good[i], &problem), 0);
		assert_null(problem);
	}
}

static const struct {
	const char *line;
	const char *problem; /* a part of it */
} bad[] = {
	{ "ssh-rsa AAAAB3NzaC1yc2EAAAAE", "damaged" },
	{ "", "two words" },
	{ "ssh-ed25519", "two words" },
	{ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9 "
	  "root@host",
	  "base64" },
	{ " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9",
	  "type is not one of" },
	{ "ssh-ed25519  AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9",
	  "base64" },
	{ "ssh-ed25519\tAAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9",
	  "two words" },
	{ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9\n",
	  "base64" },
	{ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9\r",
	  "base64" },
	{ "@revoked ssh-ed25519 "
	  "AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9",
	  "type is not one of" },
	{ "* ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9",
	  "type is not one of" },
	{ "ssh-dss AAAAB3NzaC1kc3MAAAABAQ==", "type is not one of" },
	{ "SSH-ED25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9",
	  "type is not one of" },
	{ "ssh-ed25519-cert-v01@openssh.com "
	  "AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9",
	  "type is not one of" },
	{ "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9",
	  "not that of the key inside" },
	{ "ecdsa-sha2-nistp256 "
	  "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBLUdWO0Qi5PB61dhTH8icJ1gCB8TyISZYTwm"
	  "7p1vfXb/mJGJdikknGS/opux/WBhkLDfwJYQeFO0QzvTYvmx3MpRlG27PtatC+CE1V6hSZEL7Wm8yA9tCZ9Bd/"
	  "jKGb3cJA==",
	  "not that of the key inside" },
	{ "ssh-ed25519 ", "base64" },
	{ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ",
	  "base64" },
	{ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/X",
	  "damaged" },
	{ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9AAAA",
	  "damaged" },
	{ "ssh-ed25519 ====", "base64" },
	{ "ssh-ed25519 AA==", "not that of the key inside" },
	{ "ssh-ed25519 AB==", "base64" },
	{ "ssh-ed25519 AAB=", "base64" },
	{ "ssh-ed25519 AAAAC3Nz=C1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9",
	  "base64" },
	{ "ssh-ed25519 /////3NzaC1l", "not that of the key inside" },
	{ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAH0JCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=",
	  "damaged" },
	{ "ssh-ed25519 "
	  "AAAAC3NzaC1lZDI1NTE5AAAAIEJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCAAAAAA==",
	  "damaged" },
	{ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "damaged" },
	{ "ssh-ed25519 AAAADHNzaC1lZDI1NTE5AA==", "not that of the key inside" },
	{ "ecdsa-sha2-nistp256 "
	  "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAzODQAAABBBAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
	  "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
	  "damaged" },
	{ "ecdsa-sha2-nistp256 "
	  "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBAgEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
	  "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
	  "damaged" },
	{ "ecdsa-sha2-nistp256 "
	  "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABABAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
	  "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==",
	  "damaged" },
	{ "ssh-rsa "
	  "AAAAB3NzaC1yc2EAAAADAQABAAAAQQCAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICA"
	  "gICAgICAgICAgICAgICAgICAgICA",
	  "damaged" },
	{ "ssh-rsa "
	  "AAAAB3NzaC1yc2EAAAADAQABAAABAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICA"
	  "gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICA"
	  "gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICA"
	  "gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICA"
	  "gICAgICAgICAgICAgIA=",
	  "damaged" },
	{ "ssh-rsa "
	  "AAAAB3NzaC1yc2EAAAAAAAABAH9/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/"
	  "f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/"
	  "f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/"
	  "f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/"
	  "f39/f39/f39/f38=",
	  "damaged" },
	{ "ssh-rsa "
	  "AAAAB3NzaC1yc2EAAAABAAAAAQB/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/"
	  "f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/"
	  "f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/"
	  "f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/"
	  "f39/f39/f39/f39/",
	  "damaged" },
};

static void test_refuses(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *problem = NULL;
		int r = host_key_check(bad[i].line, &problem);

		if (r != -EINVAL || !strstr(problem, bad[i].problem))
			fail_msg("\"%s\": %d, \"%s\", expected \"%s\"", bad[i].line, r,
				 problem ? problem : "-", bad[i].problem);
	}
}

/* No prefix of a good key is one: nothing is read beyond the end. */
static void test_refuses_cut_keys(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		for (size_t len = 0; len < strlen(good[i]); len++) {
			_cleanup_free_ char *cut = strndup(good[i], len);
			const char *problem = NULL;

			assert_int_equal(host_key_check(cut, &problem), -EINVAL);
			assert_non_null(problem);
		}
	}
}

static void test_refuses_long_lines(void **state)
{
	static char line[HOST_KEY_MAX + 2];
	const char *problem = NULL;

	memset(line, 'A', sizeof(line) - 1);
	assert_int_equal(host_key_check(line, &problem), -EINVAL);
	assert_non_null(strstr(problem, "too long"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_refuses_cut_keys),
		cmocka_unit_test(test_refuses_long_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
