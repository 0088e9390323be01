#include "common/frame_line.h"

#include <errno.h>
#include <string.h>

int frame_line_split(const char *line, size_t len, size_t auth_len, const char **ret_body,
		     size_t *ret_body_len)
{
	const char *body;
	size_t body_len;

	if (len < auth_len + 2 || line[auth_len] != ' ')
		return -EINVAL;
	body = line + auth_len + 1;
	body_len = len - (auth_len + 1);
	if (body_len > FRAME_MAX_BODY)
		return -EMSGSIZE;
	if (body[0] != '{' || body[body_len - 1] != '}' || memchr(body, '\n', body_len) ||
	    memchr(body, '\0', body_len))
		return -EINVAL;
	*ret_body = body;
	*ret_body_len = body_len;
	return 0;
}
