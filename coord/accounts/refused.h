/* Passwords that are long enough, and known to everybody who guesses. */
#pragma once

#include <stdbool.h>

bool password_is_refused(const char *password);
