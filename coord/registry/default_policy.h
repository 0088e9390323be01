/* The policy that is in force before any is set. */
#pragma once

extern const char default_policy[];
