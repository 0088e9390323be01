#include "sshgw/session/ttymodes.h"

#include <stdbool.h>

#include "common/cleanup.h"

enum {
	OP_END = 0,
	OP_CS7 = 90,
	OP_CS8 = 91,
	OP_ISPEED = 128,
	OP_OSPEED = 129,
	OP_FIRST_UNDEFINED = 160, /* "not yet defined, and cause parsing to stop" */
};

#define CHAR_DISABLED 255u /* what the RFC sends for a character that is off */

/* Which control character an opcode sets. VDSUSP (11), VFLUSH (15) and VSTATUS (17) are not ours.
 */
static const struct {
	uint8_t opcode, index;
} control_chars[] = {
	{ 1, VINTR },	  { 2, VQUIT },	   { 3, VERASE },  { 4, VKILL },  { 5, VEOF },
	{ 6, VEOL },	  { 7, VEOL2 },	   { 8, VSTART },  { 9, VSTOP },  { 10, VSUSP },
	{ 12, VREPRINT }, { 13, VWERASE }, { 14, VLNEXT }, { 16, VSWTC }, { 18, VDISCARD },
};

enum flag_word { IFLAG, LFLAG, OFLAG, CFLAG };

static const struct {
	uint8_t opcode;
	enum flag_word word;
	tcflag_t bit;
} flags[] = {
	{ 30, IFLAG, IGNPAR }, { 31, IFLAG, PARMRK }, { 32, IFLAG, INPCK },  { 33, IFLAG, ISTRIP },
	{ 34, IFLAG, INLCR },  { 35, IFLAG, IGNCR },  { 36, IFLAG, ICRNL },  { 37, IFLAG, IUCLC },
	{ 38, IFLAG, IXON },   { 39, IFLAG, IXANY },  { 40, IFLAG, IXOFF },  { 41, IFLAG, IMAXBEL },
	{ 42, IFLAG, IUTF8 },  { 50, LFLAG, ISIG },   { 51, LFLAG, ICANON }, { 52, LFLAG, XCASE },
	{ 53, LFLAG, ECHO },   { 54, LFLAG, ECHOE },  { 55, LFLAG, ECHOK },  { 56, LFLAG, ECHONL },
	{ 57, LFLAG, NOFLSH }, { 58, LFLAG, TOSTOP }, { 59, LFLAG, IEXTEN }, { 60, LFLAG, ECHOCTL },
	{ 61, LFLAG, ECHOKE }, { 62, LFLAG, PENDIN }, { 70, OFLAG, OPOST },  { 71, OFLAG, OLCUC },
	{ 72, OFLAG, ONLCR },  { 73, OFLAG, OCRNL },  { 74, OFLAG, ONOCR },  { 75, OFLAG, ONLRET },
	{ 92, CFLAG, PARENB }, { 93, CFLAG, PARODD },
};

static const struct {
	uint32_t bps;
	speed_t speed;
} speeds[] = {
	{ 0, B0 },
	{ 50, B50 },
	{ 75, B75 },
	{ 110, B110 },
	{ 134, B134 },
	{ 150, B150 },
	{ 200, B200 },
	{ 300, B300 },
	{ 600, B600 },
	{ 1200, B1200 },
	{ 1800, B1800 },
	{ 2400, B2400 },
	{ 4800, B4800 },
	{ 9600, B9600 },
	{ 19200, B19200 },
	{ 38400, B38400 },
	{ 57600, B57600 },
	{ 115200, B115200 },
	{ 230400, B230400 },
	{ 460800, B460800 },
	{ 500000, B500000 },
	{ 576000, B576000 },
	{ 921600, B921600 },
	{ 1000000, B1000000 },
	{ 1152000, B1152000 },
	{ 1500000, B1500000 },
	{ 2000000, B2000000 },
	{ 2500000, B2500000 },
	{ 3000000, B3000000 },
	{ 3500000, B3500000 },
	{ 4000000, B4000000 },
};

static void apply_control_char(struct termios *tio, uint8_t opcode, uint32_t value)
{
	for (size_t i = 0; i < ARRAY_SIZE(control_chars); i++)
		if (control_chars[i].opcode == opcode)
			tio->c_cc[control_chars[i].index] =
				value == CHAR_DISABLED ? _POSIX_VDISABLE : (cc_t)value;
}

static tcflag_t *flag_word_of(struct termios *tio, enum flag_word word)
{
	switch (word) {
	case IFLAG:
		return &tio->c_iflag;
	case LFLAG:
		return &tio->c_lflag;
	case OFLAG:
		return &tio->c_oflag;
	case CFLAG:
		return &tio->c_cflag;
	}
	return NULL;
}

static void apply_flag(struct termios *tio, uint8_t opcode, uint32_t value)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		tcflag_t *word = flag_word_of(tio, flags[i].word);

		if (flags[i].opcode != opcode)
			continue;
		if (value)
			*word |= flags[i].bit;
		else
			*word &= ~flags[i].bit;
	}
}

/* A speed that Linux has no name for leaves the terminal's own. */
static void apply_speed(struct termios *tio, uint8_t opcode, uint32_t bps)
{
	for (size_t i = 0; i < ARRAY_SIZE(speeds); i++) {
		if (speeds[i].bps != bps)
			continue;
		if (opcode == OP_ISPEED)
			cfsetispeed(tio, speeds[i].speed);
		else
			cfsetospeed(tio, speeds[i].speed);
	}
}

/*
 * Character size is one field on Linux and two booleans on the wire, and a client with eight bits
 * sends both as true: the larger one decides.
 */
static void apply_char_size(struct termios *tio, bool cs7, bool cs8)
{
	if (!cs7 && !cs8)
		return;
	tio->c_cflag = (tio->c_cflag & ~(tcflag_t)CSIZE) | (cs8 ? CS8 : CS7);
}

void ttymodes_apply(const uint8_t *modes, size_t len, struct termios *tio)
{
	bool cs7 = false, cs8 = false;

	for (; len >= 5; modes += 5, len -= 5) {
		uint8_t opcode = modes[0];
		uint32_t value = (uint32_t)modes[1] << 24 | (uint32_t)modes[2] << 16 |
				 (uint32_t)modes[3] << 8 | modes[4];

		if (opcode == OP_END || opcode >= OP_FIRST_UNDEFINED)
			break;
		if (opcode == OP_CS7)
			cs7 = value;
		else if (opcode == OP_CS8)
			cs8 = value;
		else if (opcode == OP_ISPEED || opcode == OP_OSPEED)
			apply_speed(tio, opcode, value);
		else
			apply_flag(tio, opcode, value);
		apply_control_char(tio, opcode, value);
	}
	apply_char_size(tio, cs7, cs8);
}
