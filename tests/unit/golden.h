/* Golden files: what is expected, as a file of tests/unit/data. UPDATE_GOLDEN=1 writes them anew.
 */
#pragma once

#include <stddef.h>

/* Contents of $TEST_DATA/NAME, which the caller frees; the test fails without it. */
char *golden_read(const char *name);
/* Fails the running test unless text is what the file holds. */
void golden_check(const char *name, const char *text);
