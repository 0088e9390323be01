#include "coord/web/qr.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base64.h"
#include "common/qr.h"
#include "coord/accounts/password.h"

static int write_svg(const QRcode *code, char **ret_svg)
{
	int width = qr_width(code);
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
		width, width, width, width, width);
	for (int i = 0; i < width * width; i++)
		if (qr_is_dark(code, i / width, i % width))
			fprintf(f, "M%d %dh1v1h-1z", i % width, i / width);
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
	_cleanup_(qr_freep) QRcode *code = NULL;
	char *uri;
	int r;

	r = qr_encode(text, QR_ECLEVEL_M, &code);
	if (r == 0)
		r = write_svg(code, &svg);
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
