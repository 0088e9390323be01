/*
 * Lines of a map stream: an authenticator (frame_sig.h, frame_stream.h), a blank, and the body, one
 * JSON object as it is: what is authenticated are its bytes.
 */
#pragma once

#include <stddef.h>

#define FRAME_MAX_BODY (64u << 20)

/*
 * Split a line, without its newline, whose authenticator has auth_len characters. *ret_body points
 * into it. Return: 0; -EINVAL: no blank or no object behind it, or a newline or NUL in the object;
 * -EMSGSIZE: the object has more than FRAME_MAX_BODY bytes.
 */
int frame_line_split(const char *line, size_t len, size_t auth_len, const char **ret_body,
		     size_t *ret_body_len);
