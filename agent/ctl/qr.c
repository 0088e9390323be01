#include "agent/ctl/qr.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>

#include "common/qr.h"

#define BLACK_WHITE "\033[30;107m"
#define AS_BEFORE   "\033[0m"

/* As setlocale(3) would find it. */
static bool is_utf8(void)
{
	static const char *const variables[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		const char *value = getenv(variables[i]);

		if (value && value[0])
			return strcasestr(value, "UTF-8") || strcasestr(value, "UTF8");
	}
	return false;
}

/* A terminal that does not know how wide it is gets the benefit of the doubt. */
static bool has_room(const struct cli_out *out, int columns)
{
	struct winsize size;

	return !out->terminal || ioctl(fileno(out->file), TIOCGWINSZ, &size) < 0 ||
	       size.ws_col == 0 || size.ws_col >= columns;
}

/* Two rows of modules. */
static void show_line(const QRcode *code, int row, FILE *file)
{
	static const char *const blocks[2][2] = { { " ", "\u2584" }, { "\u2580", "\u2588" } };

	fputs("  " BLACK_WHITE, file);
	for (int column = 0; column < qr_width(code); column++)
		fputs(blocks[qr_is_dark(code, row, column)][qr_is_dark(code, row + 1, column)],
		      file);
	fputs(AS_BEFORE "\n", file);
}

int qr_show(const char *text, const struct cli_out *out)
{
	_cleanup_(qr_freep) QRcode *code = NULL;

	int r;

	if (!out->colour || !is_utf8())
		return 0;
	/* The least correction: nothing covers a screen, and the code stays small. */
	r = qr_encode(text, QR_ECLEVEL_L, &code);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	if (!has_room(out, qr_width(code) + 2))
		return 0;
	for (int row = 0; row < qr_width(code); row += 2)
		show_line(code, row, out->file);
	return 0;
}
