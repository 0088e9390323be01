/* Terminal modes of RFC 4254 section 8 as they end up in a struct termios. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those above */
#include <cmocka.h>
#include <string.h>

#include "common/cleanup.h"
#include "sshgw/session/ttymodes.h"

#define MODE(op, v) \
	(op), (uint8_t)((v) >> 24), (uint8_t)((v) >> 16), (uint8_t)((v) >> 8), (uint8_t)(v)
#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

/* What Linux gives to a fresh terminal. */
static struct termios fresh(void)
{
	struct termios tio = {
		.c_iflag = ICRNL | IXON,
		.c_oflag = OPOST | ONLCR,
		.c_cflag = CS8 | CREAD,
		.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	};

	tio.c_cc[VINTR] = 3;
	tio.c_cc[VERASE] = 0x7f;
	tio.c_cc[VQUIT] = 0x1c;
	cfsetspeed(&tio, B38400);
	return tio;
}

static struct termios applied(const uint8_t *modes, size_t len)
{
	/* An exact copy on the heap, so that ASan sees a read behind the end. */
	_cleanup_free_ uint8_t *copy = malloc(len ? len : 1);
	struct termios tio = fresh();

	for (size_t i = 0; i < len; i++)
		copy[i] = modes[i];
	ttymodes_apply(copy, len, &tio);
	return tio;
}

static void assert_unchanged(const uint8_t *modes, size_t len)
{
	struct termios tio = applied(modes, len), want = fresh();

	assert_memory_equal(&tio, &want, sizeof(tio));
}

/* RFC 4254 section 8, spelled out once more: opcode, and where its bit is. */
static void test_flags(void **state)
{
	static const struct {
		uint8_t opcode;
		size_t word;
		tcflag_t bit;
	} cases[] = {
#define I(op, bit) { op, offsetof(struct termios, c_iflag), bit }
#define L(op, bit)                                         \
	{                                                  \
		op, offsetof(struct termios, c_lflag), bit \
	}
#define O(op, bit)                                         \
	{                                                  \
		op, offsetof(struct termios, c_oflag), bit \
	}
#define C(op, bit)                                         \
	{                                                  \
		op, offsetof(struct termios, c_cflag), bit \
	}
		I(30, IGNPAR), I(31, PARMRK),  I(32, INPCK),  I(33, ISTRIP),  I(34, INLCR),
		I(35, IGNCR),  I(36, ICRNL),   I(37, IUCLC),  I(38, IXON),    I(39, IXANY),
		I(40, IXOFF),  I(41, IMAXBEL), I(42, IUTF8),  L(50, ISIG),    L(51, ICANON),
		L(52, XCASE),  L(53, ECHO),    L(54, ECHOE),  L(55, ECHOK),   L(56, ECHONL),
		L(57, NOFLSH), L(58, TOSTOP),  L(59, IEXTEN), L(60, ECHOCTL), L(61, ECHOKE),
		L(62, PENDIN), O(70, OPOST),   O(71, OLCUC),  O(72, ONLCR),   O(73, OCRNL),
		O(74, ONOCR),  O(75, ONLRET),  C(92, PARENB), C(93, PARODD),
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (uint32_t on = 0; on <= 1; on++) {
			struct termios tio = applied(BYTES(MODE(cases[i].opcode, on), 0));
			struct termios want = fresh();
			tcflag_t *word = (tcflag_t *)((char *)&want + cases[i].word);

			*word = on ? *word | cases[i].bit : *word & ~cases[i].bit;
			assert_memory_equal(&tio, &want, sizeof(tio));
		}
	}
}

static void test_control_characters(void **state)
{
	static const struct {
		uint8_t opcode, index;
	} cases[] = {
		{ 1, VINTR },	  { 2, VQUIT },	   { 3, VERASE },  { 4, VKILL },  { 5, VEOF },
		{ 6, VEOL },	  { 7, VEOL2 },	   { 8, VSTART },  { 9, VSTOP },  { 10, VSUSP },
		{ 12, VREPRINT }, { 13, VWERASE }, { 14, VLNEXT }, { 16, VSWTC }, { 18, VDISCARD },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct termios tio = applied(BYTES(MODE(cases[i].opcode, 17), 0));
		struct termios want = fresh();

		want.c_cc[cases[i].index] = 17;
		assert_memory_equal(&tio, &want, sizeof(tio));
	}
	assert_int_equal(applied(BYTES(MODE(1, 255))).c_cc[VINTR], _POSIX_VDISABLE);
}

static void test_character_size(void **state)
{
	assert_int_equal(applied(BYTES(MODE(90, 1), MODE(91, 1))).c_cflag & CSIZE, CS8);
	assert_int_equal(applied(BYTES(MODE(91, 1), MODE(90, 0))).c_cflag & CSIZE, CS8);
	assert_int_equal(applied(BYTES(MODE(90, 1), MODE(91, 0))).c_cflag & CSIZE, CS7);
	assert_unchanged(BYTES(MODE(90, 0), MODE(91, 0)));
}

static void test_speeds(void **state)
{
	static const struct {
		uint32_t bps;
		speed_t speed;
	} cases[] = { { 50, B50 },
		      { 9600, B9600 },
		      { 38400, B38400 },
		      { 115200, B115200 },
		      { 4000000, B4000000 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct termios tio =
			applied(BYTES(MODE(128, cases[i].bps), MODE(129, cases[i].bps)));

		assert_int_equal(cfgetispeed(&tio), cases[i].speed);
		assert_int_equal(cfgetospeed(&tio), cases[i].speed);
	}
	assert_unchanged(BYTES(MODE(129, 12345), MODE(128, 0xffffffff)));
}

static void test_what_is_skipped(void **state)
{
	static const uint8_t unknown[] = { 11, 15, 17, 19, 29, 43, 63, 76, 94, 127, 130, 159 };

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		assert_unchanged(BYTES(MODE(unknown[i], 1)));
		/* Parsing goes on behind it. */
		assert_false(applied(BYTES(MODE(unknown[i], 1), MODE(53, 0))).c_lflag & ECHO);
	}
}

static void test_where_it_ends(void **state)
{
	assert_unchanged(NULL, 0);
	assert_unchanged(BYTES(0, MODE(53, 0)));   /* TTY_OP_END */
	assert_unchanged(BYTES(160, MODE(53, 0))); /* nobody knows how long it is */
	assert_unchanged(BYTES(MODE(160, 0), MODE(53, 0)));
	assert_unchanged(BYTES(MODE(255, 0), MODE(53, 0)));
	for (size_t len = 0; len < 5; len++)
		assert_unchanged((const uint8_t[]){ MODE(53, 0) }, len);
	/* What came before a cut counts. */
	assert_false(applied(BYTES(MODE(53, 0), 50, 0, 0)).c_lflag & ECHO);
	assert_true(applied(BYTES(MODE(53, 0), 50, 0, 0)).c_lflag & ISIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags),		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_character_size),	cmocka_unit_test(test_speeds),
		cmocka_unit_test(test_what_is_skipped), cmocka_unit_test(test_where_it_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
