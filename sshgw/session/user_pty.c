#include "sshgw/session/user_pty.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "common/text.h"
#include "sshgw/session/ttymodes.h"

/*
 * devpts gives the slave to whoever opened the master, with the group and mode it was mounted with
 * ("gid=5,mode=620"). Write access for the group "tty" is for write(1) and wall(1); a mount that
 * gives others more than that is corrected.
 */
static int check_owner(int slave)
{
	struct stat st;

	if (fstat(slave, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid())
		return -EPERM;
	if ((st.st_mode & 07777 & ~0620u) != 0 && fchmod(slave, 0620) < 0)
		return -errno;
	return 0;
}

static unsigned short window_field(uint32_t value)
{
	return value > UINT16_MAX ? UINT16_MAX : (unsigned short)value;
}

static int set_up(int slave, const struct msg_pty *pty)
{
	const struct winsize size = {
		.ws_row = window_field(pty->rows),
		.ws_col = window_field(pty->columns),
		.ws_xpixel = window_field(pty->xpixel),
		.ws_ypixel = window_field(pty->ypixel),
	};
	struct termios tio;

	if (ioctl(slave, TIOCSWINSZ, &size) < 0 || tcgetattr(slave, &tio) < 0)
		return -errno;
	ttymodes_apply(pty->modes.data, pty->modes.len, &tio);
	return tcsetattr(slave, TCSANOW, &tio) < 0 ? -errno : 0;
}

static int open_pair(int *ret_master, int *ret_slave, unsigned *ret_number)
{
	_cleanup_close_ int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	int slave, unlock = 0;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0 ||
	    ioctl(master, TIOCGPTN, ret_number) < 0)
		return -errno;
	/* By the master, not by name: what is mounted on /dev/pts cannot come between. */
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -errno;
	*ret_master = take_fd(&master);
	*ret_slave = slave;
	return 0;
}

int user_pty_open(const struct msg_pty *pty, int *ret_master, int *ret_slave,
		  char name[USER_PTY_NAME], char **reterr_text)
{
	_cleanup_close_ int master = -1, slave = -1;
	unsigned number;
	int r = open_pair(&master, &slave, &number);

	if (r == 0)
		r = check_owner(slave);
	if (r == 0)
		r = set_up(slave, pty);
	if (r < 0) {
		*reterr_text = text_printf("Could not open a terminal: %s", strerror(-r));
		return r;
	}
	snprintf(name, USER_PTY_NAME, "/dev/pts/%u", number);
	*ret_master = take_fd(&master);
	*ret_slave = take_fd(&slave);
	return 0;
}
