/* QR codes on a terminal, for who has the browser on the phone. */
#pragma once

#include "common/cli/style.h"

/*
 * Text as a QR code (ISO/IEC 18004), black on white whatever the terminal's own colours are, two
 * modules in a character (U+2580 and its like). Nothing is written where that cannot be shown: no
 * colours, a terminal that is too narrow, no UTF-8, or a text that is too long. Return: 0, -ENOMEM.
 */
int qr_show(const char *text, const struct cli_out *out);
