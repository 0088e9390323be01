/* QR codes (ISO/IEC 18004) as modules; what they look like is the caller's. */
#pragma once

#include <qrencode.h>
#include <stdbool.h>

#include "common/cleanup.h"

/* Modules around a code that have to be light, or scanners do not find it. */
#define QR_MARGIN 4

/*
 * Of this text, with so much correction (QR_ECLEVEL_L is the least).
 * Return: 0 and *ret_code, the caller's (qr_free()); -EINVAL: the text is too long; -ENOMEM.
 */
int qr_encode(const char *text, QRecLevel level, QRcode **ret_code);
QRcode *qr_free(QRcode *code);
DEFINE_CLEANUP(QRcode *, qr_free);

/* With the margin: so many rows, and columns. */
int qr_width(const QRcode *code);
/* Counted from the margin's corner; beyond the code all is light. */
bool qr_is_dark(const QRcode *code, int row, int column);
