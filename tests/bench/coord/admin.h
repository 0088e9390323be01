/* Admin requests, over the coordinator's Unix socket. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

bool admin_is_there(void);
/* The connection is of a coordinator that has gone. */
void admin_forget(void);

/* Ask, and go on; admin_is_answered() says when it is. body NULL: none. */
void admin_begin(const char *method, const char *path, const char *body);
bool admin_is_answered(void);
/* Ask, and wait. Anything but 200 ends the program. The caller's reference. */
json_t *admin_ask(const char *method, const char *path, const char *body);
