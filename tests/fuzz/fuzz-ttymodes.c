/* Terminal modes from a client: any bytes give a termios that the kernel would take. */
#include <stdlib.h>

#include "sshgw/session/ttymodes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct termios tio = { .c_cflag = CS8 | B38400 | CREAD }, again;

	ttymodes_apply(data, size, &tio);
	if ((tio.c_cflag & CSIZE) != CS8 && (tio.c_cflag & CSIZE) != CS7)
		abort();
	if (!(tio.c_cflag & CREAD) || tio.c_cc[VMIN] != 0 || tio.c_cc[VTIME] != 0)
		abort(); /* no mode names these */
	again = tio;
	ttymodes_apply(data, size, &again);
	if (again.c_iflag != tio.c_iflag || again.c_lflag != tio.c_lflag ||
	    again.c_oflag != tio.c_oflag || again.c_cflag != tio.c_cflag)
		abort();
	return 0;
}
