/*
 * Which build of the gateway a program is from. The processes of one connection speak a protocol
 * that is theirs alone, and changes without notice: they are of one build, or do not start.
 */
#pragma once

/* "0.1.0-" and a digest of the sources. */
const char *build_id(void);

/* The third argument of a program that is only to say whether it would fit. */
#define BUILD_PROBE "probe"

enum {
	BUILD_GO_ON = -1,
	BUILD_MISMATCH = 3,
};
/*
 * To be called first in a program that another one of the gateway starts, with its build as second
 * argument. Return: BUILD_GO_ON, or the status to exit with (said on stderr, unless it is 0).
 */
int build_check(int argc, char *const argv[]);
