/*
 * Text written piece by piece through stdio, into memory. As open_memstream(3), which is of no use
 * without memory: what glibc 2.36 cannot store it leaves out, and neither ferror() nor fclose()
 * tells.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* For the caller's stack. Not to be copied or moved while it is open. */
struct text_stream {
	FILE *file; /* to print to */
	char *data;
	size_t len, size;
	bool failed;
	char buffer[1024];
};

/* Return: 0, and text_stream_close() is due; -ENOMEM. */
int text_stream_open(struct text_stream *stream);
/* All that was printed, the caller's to free; NULL when there was no memory for some of it. */
char *text_stream_close(struct text_stream *stream);
