#include "common/qr.h"

#include <errno.h>

int qr_encode(const char *text, QRecLevel level, QRcode **ret_code)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, level);

	if (!code)
		return errno == ENOMEM ? -ENOMEM : -EINVAL;
	*ret_code = code;
	return 0;
}

QRcode *qr_free(QRcode *code)
{
	QRcode_free(code);
	return NULL;
}

int qr_width(const QRcode *code)
{
	return code->width + 2 * QR_MARGIN;
}

bool qr_is_dark(const QRcode *code, int row, int column)
{
	row -= QR_MARGIN;
	column -= QR_MARGIN;
	return row >= 0 && column >= 0 && row < code->width && column < code->width &&
	       (code->data[row * code->width + column] & 1);
}
