/* An HTTP/1.1 answer as its bytes come: as much of it as the coordinator writes. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/httpsig.h"

enum answer_step {
	ANSWER_HEAD,
	ANSWER_LENGTH, /* a body of known length */
	ANSWER_SIZE,   /* of a chunk */
	ANSWER_CHUNK,
	ANSWER_CHUNK_END,
	ANSWER_TRAILER,
	ANSWER_DONE,
};

/* Zero-initialise; answer_done() frees, and makes it ready for the next one. */
struct answer {
	enum answer_step step;
	unsigned status;
	bool chunked;
	size_t left; /* of the body or chunk */
	char *text;  /* the head, then a body that is kept; a NUL follows */
	size_t len, size;
	char epoch[HTTPSIG_EPOCH_LEN]; /* Peergate-Epoch; "": none */
};
void answer_done(struct answer *answer);

/*
 * Bytes. on_data gets those of a 200 answer in chunks; other bodies are kept in text.
 * Return: bytes that were used, fewer than len only when the answer is complete; -EPROTO.
 */
long answer_take(struct answer *answer, const char *data, size_t len,
		 void (*on_data)(const char *data, size_t len, void *userdata), void *userdata);
