#include "agent/link/ask.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"

struct link_ask {
	struct link_ask_config config;
	struct link_asking asking;
	struct fetch_call *call;
	char *url, *path, *body;
	size_t body_len;
	bool streaming; /* part of a stream has come */
};

static void ask_free(struct link_ask *ask)
{
	if (ask->body)
		explicit_bzero(ask->body, ask->body_len);
	free(ask->url);
	free(ask->path);
	free(ask->body);
	free(ask);
}

struct link_ask *link_ask_cancel(struct link_ask *ask)
{
	if (!ask)
		return NULL;
	fetch_cancel(ask->call);
	ask_free(ask);
	return NULL;
}

uint64_t link_ask_received(const struct link_ask *ask)
{
	return fetch_received(ask->call);
}

static void tell(struct link_ask *ask, const struct link_verdict *verdict)
{
	ask->config.on_done(verdict, ask->config.userdata);
	ask_free(ask);
}

static int attempt(struct link_ask *ask);

static void on_done(const struct fetch_answer *answer, const char *problem, void *userdata)
{
	_cleanup_(link_verdict_done) struct link_verdict verdict = { .kind = LINK_ANSWER_LATER };
	struct link_ask *ask = userdata;
	int r = 0;

	ask->call = NULL;
	if (ask->streaming)
		return tell(ask, NULL);
	if (answer)
		r = link_answer_judge(ask->config.signer, &ask->asking, answer,
				      clock_usec(CLOCK_REALTIME), &verdict);
	else
		verdict.message = text_sanitize(problem, 300);
	if (r == 0 && verdict.kind == LINK_ANSWER_AGAIN) {
		r = attempt(ask);
		if (r == 0)
			return;
	}
	if (r < 0) {
		link_verdict_done(&verdict);
		verdict = (struct link_verdict){ .kind = LINK_ANSWER_LATER,
						 .message = strdup(strerror(-r)) };
	}
	tell(ask, &verdict);
}

static int on_data(const char *data, size_t len, void *userdata)
{
	struct link_ask *ask = userdata;

	ask->streaming = true;
	return ask->config.on_data(data, len, ask->asking.nonce, ask->config.userdata);
}

/* "Content-Type" and the four of the signature. */
#define N_HEADERS (HTTPSIG_N_FIELDS + 1)

static int make_headers(const struct httpsig_signed *fields, char *headers[N_HEADERS])
{
	for (int i = 0; i < HTTPSIG_N_FIELDS; i++)
		headers[i] = text_printf("%s: %s", httpsig_field_name(i), fields->field[i]);
	headers[HTTPSIG_N_FIELDS] = strdup("Content-Type: application/json");
	for (size_t i = 0; i < N_HEADERS; i++)
		if (!headers[i])
			return -ENOMEM;
	return 0;
}

static int attempt(struct link_ask *ask)
{
	const struct httpsig_request request = {
		.method = "POST",
		.path = ask->path,
		.body = ask->body,
		.body_len = ask->body_len,
	};
	struct fetch_request call = {
		.url = ask->url,
		.n_headers = N_HEADERS,
		.body = ask->body,
		.body_len = ask->body_len,
		.timeout_usec = ask->config.timeout_usec,
		.on_data = ask->config.on_data ? on_data : NULL,
		.on_done = on_done,
		.userdata = ask,
	};
	char *headers[N_HEADERS] = { 0 };
	struct httpsig_signed fields;
	int r;

	r = link_sign(ask->config.signer, &ask->asking, &request, clock_usec(CLOCK_REALTIME),
		      &fields);
	if (r == 0)
		r = make_headers(&fields, headers);
	call.headers = (const char *const *)headers;
	if (r == 0)
		r = fetch_start(ask->config.http, &call, &ask->call);
	for (size_t i = 0; i < N_HEADERS; i++)
		free(headers[i]);
	return r;
}

int link_ask(const struct link_ask_config *config, struct link_ask **ret_ask)
{
	struct link_ask *ask = calloc(1, sizeof(*ask));
	int r = -ENOMEM;

	if (!ask)
		return -ENOMEM;
	ask->config = *config;
	ask->url = text_printf("%s%s", config->url, config->path);
	ask->path = strdup(config->path);
	ask->body = json_compact(config->body, &ask->body_len);
	if (ask->url && ask->path && ask->body)
		r = attempt(ask);
	if (r < 0) {
		ask_free(ask);
		return r;
	}
	*ret_ask = ask;
	return 0;
}
