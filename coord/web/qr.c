#include "coord/web/qr.h"

#include <errno.h>
#include <qrencode.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base64.h"
#include "coord/accounts/password.h"

#define MARGIN 4

static int write_svg(const QRcode *code, char **ret_svg)
{
	int width = code->width;
	char *svg = NULL;
	size_t len;
	FILE *f = open_memstream(&svg, &len);
	bool failed;

	if (!f)
		return -ENOMEM;
	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
		"shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h%dv%dh-%dz\"/>"
		"<path d=\"",
		width + 2 * MARGIN, width + 2 * MARGIN, width + 2 * MARGIN, width + 2 * MARGIN,
		width + 2 * MARGIN);
	for (int i = 0; i < width * width; i++)
		if (code->data[i] & 1)
			fprintf(f, "M%d %dh1v1h-1z", i % width + MARGIN, i / width + MARGIN);
	fputs("\"/></svg>", f);
	failed = ferror(f);
	if (fclose(f) != 0 || failed) {
		secret_free(svg);
		return -ENOMEM;
	}
	*ret_svg = svg;
	return 0;
}

int qr_data_uri(const char *text, char **ret_uri)
{
	static const char head[] = "data:image/svg+xml;base64,";
	_cleanup_(secret_freep) char *svg = NULL;
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
	char *uri;
	int r;

	if (!code)
		return errno == ENOMEM ? -ENOMEM : -EINVAL;
	r = write_svg(code, &svg);
	QRcode_free(code);
	if (r < 0)
		return r;
	uri = malloc(sizeof(head) + BASE64_LEN(strlen(svg)));
	if (!uri)
		return -ENOMEM;
	memcpy(uri, head, sizeof(head) - 1);
	base64_encode(svg, strlen(svg), uri + sizeof(head) - 1);
	*ret_uri = uri;
	return 0;
}
