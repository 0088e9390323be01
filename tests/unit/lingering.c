#include "tests/unit/lingering.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/cleanup.h"

static int other_ends[16];
static size_t n_other_ends;

int lingering_open(unsigned seconds)
{
	static const char bytes[64 << 10];
	const struct linger linger = { .l_onoff = 1, .l_linger = (int)seconds };
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	_cleanup_close_ int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_true(n_other_ends < ARRAY_SIZE(other_ends));
	other_ends[n_other_ends] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(other_ends[n_other_ends++] >= 0);
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	return fd;
}

void lingering_end(void)
{
	while (n_other_ends > 0)
		close(other_ends[--n_other_ends]);
}
