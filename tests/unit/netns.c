#include "tests/unit/netns.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"

bool netns_enter(void)
{
	return unshare(CLONE_NEWNET) == 0 && system("nft list ruleset >/dev/null 2>&1") == 0;
}

bool netns_has_wireguard(void)
{
	return system("ip link add wgtest type wireguard 2>/dev/null && ip link del wgtest") == 0;
}

char *output_of(const char *command)
{
	char *text = NULL;
	size_t len = 0;
	FILE *in = popen(command, "re"), *out = open_memstream(&text, &len);
	int c;

	assert_non_null(in);
	while ((c = fgetc(in)) != EOF)
		fputc(c, out);
	fclose(out);
	if (pclose(in) != 0)
		fail_msg("%s: %s", command, text);
	return text;
}

void run(const char *command)
{
	free(output_of(command));
}

void assert_output(const char *command, const char *expected)
{
	_cleanup_free_ char *text = output_of(command);

	if (strcmp(text, expected) != 0)
		fail_msg("%s:\n%s-- expected:\n%s", command, text, expected);
}
