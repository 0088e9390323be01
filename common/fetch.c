#include "common/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

#include "common/ca_dir.h"
#include "common/clock.h"
#include "common/text.h"

#define CONNECT_MSEC	 15000L
#define MAX_HEADER_BYTES (32u << 10) /* all header fields of an answer */
/* libcurl asks for more by and by; a map of 64 MiB is not to come in pieces of 16 KiB. */
#define RECEIVE_BUFFER (64L << 10)

struct fetch {
	sd_event *event;
	CURLM *multi;
	sd_event_source *timer;
	/* Begins and ends calls, off the stack of whoever wants it: curl takes neither from its
	 * own callbacks. */
	sd_event_source *later;
	struct fetch_call *calls;
	unsigned in_curl; /* its callbacks on the stack */
	char *user_agent, *ca_file, *proxy;
	bool has_ca_dir; /* beside the file that libcurl would read as well */
};

/* Header fields that somebody looks at. */
enum field {
	FIELD_SIGNATURE,
	FIELD_EPOCH,
	FIELD_RETRY_AFTER,
	N_FIELDS,
};
static const char *const field_names[N_FIELDS] = { "Peergate-Answer", "Peergate-Epoch",
						   "Retry-After" };

struct fetch_call {
	struct fetch_call *next, **at;
	struct fetch *http;
	CURL *easy;
	struct curl_slist *headers;
	void *request;
	size_t request_len;
	char *url;
	int (*on_data)(const char *data, size_t len, void *userdata);
	void (*on_done)(const struct fetch_answer *answer, const char *problem, void *userdata);
	void *userdata;

	bool added;	/* curl has it */
	bool cancelled; /* nobody is told any more */
	unsigned status;
	char *fields[N_FIELDS];
	size_t header_bytes;
	char *body;
	size_t body_len, body_alloc;
	uint64_t n_received;
	bool too_large;
	char error[CURL_ERROR_SIZE];
};

/* ---- sockets and timer ---- */

static void look_later(struct fetch *http)
{
	(void)sd_event_source_set_enabled(http->later, SD_EVENT_ONESHOT);
}

static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct fetch *http = userdata;
	int mask = 0, n_running;

	if (revents & (EPOLLIN | EPOLLHUP))
		mask |= CURL_CSELECT_IN;
	if (revents & EPOLLOUT)
		mask |= CURL_CSELECT_OUT;
	if (revents & EPOLLERR)
		mask |= CURL_CSELECT_ERR;
	(void)curl_multi_socket_action(http->multi, fd, mask, &n_running);
	look_later(http);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct fetch *http = userdata;
	int n_running;

	(void)curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
	look_later(http);
	return 0;
}

/* CURLMOPT_TIMERFUNCTION */
static int set_timer(CURLM *multi, long timeout_msec, void *userdata)
{
	struct fetch *http = userdata;
	int r;

	if (timeout_msec < 0)
		return sd_event_source_set_enabled(http->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
	r = sd_event_source_set_time_relative(http->timer, (uint64_t)timeout_msec * 1000);
	if (r >= 0)
		r = sd_event_source_set_enabled(http->timer, SD_EVENT_ONESHOT);
	return r < 0 ? -1 : 0;
}

static uint32_t events_of(int what)
{
	switch (what) {
	case CURL_POLL_IN:
		return EPOLLIN;
	case CURL_POLL_OUT:
		return EPOLLOUT;
	case CURL_POLL_INOUT:
		return EPOLLIN | EPOLLOUT;
	default:
		return 0;
	}
}

/* CURLMOPT_SOCKETFUNCTION: watch is what curl_multi_assign() put there. */
static int set_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *watch)
{
	struct fetch *http = userdata;
	sd_event_source *source = watch;

	if (what == CURL_POLL_REMOVE || (source && events_of(what) == 0)) {
		sd_event_source_disable_unref(source);
		(void)curl_multi_assign(http->multi, fd, NULL);
		return 0;
	}
	if (source)
		return sd_event_source_set_io_events(source, events_of(what)) < 0 ? -1 : 0;
	if (sd_event_add_io(http->event, &source, fd, events_of(what), on_socket, http) < 0)
		return -1;
	if (curl_multi_assign(http->multi, fd, source) != CURLM_OK) {
		sd_event_source_disable_unref(source);
		return -1;
	}
	return 0;
}

/* ---- what comes back ---- */

/* "Name: value" + CR LF. The last one of a name counts; a new status line begins anew. */
static size_t on_header(char *data, size_t size, size_t n, void *userdata)
{
	struct fetch_call *call = userdata;
	size_t len = size * n;
	_cleanup_free_ char *line = NULL;

	call->header_bytes += len;
	if (call->header_bytes > MAX_HEADER_BYTES)
		return 0;
	line = strndup(data, len);
	if (!line)
		return 0;
	line[strcspn(line, "\r\n")] = '\0';
	for (size_t i = 0; i < N_FIELDS; i++) {
		size_t name_len = strlen(field_names[i]);

		if (strncasecmp(line, field_names[i], name_len) != 0 || line[name_len] != ':')
			continue;
		free(call->fields[i]);
		call->fields[i] = strdup(line + name_len + 1 + strspn(line + name_len + 1, " \t"));
		if (!call->fields[i])
			return 0;
	}
	return len;
}

static int keep_body(struct fetch_call *call, const char *data, size_t len)
{
	size_t wanted = call->body_len + len + 1;
	char *body;

	if (wanted > FETCH_MAX_ANSWER) {
		call->too_large = true;
		return -EFBIG;
	}
	if (wanted > call->body_alloc) {
		body = realloc(call->body, wanted * 2);
		if (!body)
			return -ENOMEM;
		call->body = body;
		call->body_alloc = wanted * 2;
	}
	memcpy(call->body + call->body_len, data, len);
	call->body_len += len;
	call->body[call->body_len] = '\0';
	return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *userdata)
{
	struct fetch_call *call = userdata;
	size_t len = size * n;
	long status = 0;
	int r;

	if (call->cancelled)
		return CURL_WRITEFUNC_ERROR;
	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	call->n_received += len;
	if (!call->on_data || status != 200) {
		r = keep_body(call, data, len);
	} else {
		call->http->in_curl++;
		r = call->on_data(data, len, call->userdata);
		call->http->in_curl--;
	}
	return r < 0 || call->cancelled ? CURL_WRITEFUNC_ERROR : len;
}

uint64_t fetch_received(const struct fetch_call *call)
{
	return call->n_received;
}

bool fetch_was_sent(const struct fetch_call *call)
{
	long bytes = 0;

	(void)curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &bytes);
	return bytes > 0;
}

/* ---- the end of a call ---- */

static void call_free(struct fetch_call *call)
{
	*call->at = call->next;
	if (call->next)
		call->next->at = call->at;
	if (call->added)
		(void)curl_multi_remove_handle(call->http->multi, call->easy);
	curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	for (size_t i = 0; i < N_FIELDS; i++)
		free(call->fields[i]);
	/* Tokens are in both, of some callers. */
	if (call->request)
		explicit_bzero(call->request, call->request_len);
	free(call->request);
	free(call->url);
	if (call->body)
		explicit_bzero(call->body, call->body_len);
	free(call->body);
	free(call);
}

struct fetch_call *fetch_cancel(struct fetch_call *call)
{
	if (!call || call->cancelled)
		return NULL;
	call->cancelled = true;
	if (call->http->in_curl)
		look_later(call->http);
	else
		call_free(call);
	return NULL;
}

static const char *problem_of(const struct fetch_call *call, CURLcode code)
{
	if (call->too_large)
		return "the answer is too long";
	if (call->header_bytes > MAX_HEADER_BYTES)
		return "the answer's header fields are too long";
	return call->error[0] ? call->error : curl_easy_strerror(code);
}

static void finish(struct fetch_call *call, CURLcode code)
{
	struct fetch_answer answer = {
		.signature = call->fields[FIELD_SIGNATURE],
		.epoch = call->fields[FIELD_EPOCH],
		.retry_after = call->fields[FIELD_RETRY_AFTER],
		.body = call->body ? call->body : "",
		.body_len = call->body_len,
	};
	long status = 0;

	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	answer.status = (unsigned)status;
	/* No more of it from here on: on_done may cancel what it takes for open. */
	call->cancelled = true;
	if (code == CURLE_OK)
		call->on_done(&answer, NULL, call->userdata);
	else
		call->on_done(NULL, problem_of(call, code), call->userdata);
	call_free(call);
}

static void finish_done(struct fetch *http)
{
	CURLMsg *msg;
	int n_left;

	while ((msg = curl_multi_info_read(http->multi, &n_left))) {
		struct fetch_call *call = NULL;
		CURLcode code = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
		if (call->cancelled)
			call_free(call);
		else
			finish(call, code);
	}
}

static void free_cancelled(struct fetch *http)
{
	struct fetch_call *next;

	for (struct fetch_call *call = http->calls; call; call = next) {
		next = call->next;
		if (call->cancelled)
			call_free(call);
	}
}

/* One that cannot be begun ends like one that cannot connect. */
static void begin_new(struct fetch *http)
{
	struct fetch_call *call = http->calls;

	while (call && call->added)
		call = call->next;
	if (!call)
		return;
	call->added = true;
	if (curl_multi_add_handle(http->multi, call->easy) != CURLM_OK)
		finish(call, CURLE_OUT_OF_MEMORY);
	look_later(http);
}

static int on_later(sd_event_source *source, void *userdata)
{
	struct fetch *http = userdata;

	finish_done(http);
	free_cancelled(http);
	begin_new(http);
	return 0;
}

/* ---- to begin one ---- */

static int set_headers(struct fetch_call *call, const struct fetch_request *config)
{
	for (size_t i = 0; i < config->n_headers; i++) {
		struct curl_slist *list = curl_slist_append(call->headers, config->headers[i]);

		if (!list)
			return -ENOMEM;
		call->headers = list;
	}
	return 0;
}

/* curl_easy_setopt() takes long, pointer or function, by option; the first failure stays. */
#define SET(option, value)                                                              \
	do {                                                                            \
		if (code == CURLE_OK)                                                   \
			code = curl_easy_setopt(call->easy, CURLOPT_##option, (value)); \
	} while (0)

static CURLcode set_safety(struct fetch_call *call)
{
	CURLcode code = CURLE_OK;

	SET(PROTOCOLS_STR, "http,https");
	SET(FOLLOWLOCATION, 0L);
	SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(SSL_VERIFYPEER, 1L);
	SET(SSL_VERIFYHOST, 2L);
	SET(CONNECTTIMEOUT_MS, CONNECT_MSEC);
	SET(NOSIGNAL, 1L);
	/* "": none, also if the environment names one; nor whom to go to without it. */
	SET(PROXY, call->http->proxy ? call->http->proxy : "");
	SET(NOPROXY, "");
	/* What the proxy answers is no part of the coordinator's answer. */
	SET(SUPPRESS_CONNECT_HEADERS, 1L);
	SET(NETRC, (long)CURL_NETRC_IGNORED);
	/* libcurl trusts a file and a directory, both of the system's unless told otherwise. */
	if (call->http->ca_file) {
		SET(CAINFO, call->http->ca_file);
		SET(CAPATH, NULL);
	} else if (call->http->has_ca_dir) {
		SET(CAINFO, NULL);
	}
	return code;
}

static CURLcode set_request(struct fetch_call *call, const struct fetch_request *config)
{
	CURLcode code = CURLE_OK;

	SET(URL, call->url);
	/* As it is: it is what was signed. */
	SET(PATH_AS_IS, 1L);
	SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(USERAGENT, call->http->user_agent);
	SET(HTTPHEADER, call->headers);
	if (config->body) {
		SET(POST, 1L);
		SET(POSTFIELDS, call->request);
		SET(POSTFIELDSIZE_LARGE, (curl_off_t)config->body_len);
	}
	SET(TIMEOUT_MS, (long)(config->timeout_usec / 1000));
	SET(TCP_KEEPALIVE, 1L);
	SET(BUFFERSIZE, RECEIVE_BUFFER);
	SET(ERRORBUFFER, call->error);
	SET(PRIVATE, call);
	SET(HEADERFUNCTION, on_header);
	SET(HEADERDATA, call);
	SET(WRITEFUNCTION, on_body);
	SET(WRITEDATA, call);
	return code;
}
#undef SET

static int prepare(struct fetch_call *call, const struct fetch_request *config)
{
	CURLcode code;

	call->easy = curl_easy_init();
	call->url = strdup(config->url);
	call->request_len = config->body_len;
	call->request = malloc(config->body_len + 1);
	if (!call->easy || !call->url || !call->request || set_headers(call, config) < 0)
		return -ENOMEM;
	if (config->body)
		memcpy(call->request, config->body, config->body_len);
	code = set_safety(call);
	if (code == CURLE_OK)
		code = set_request(call, config);
	if (code == CURLE_OUT_OF_MEMORY)
		return -ENOMEM;
	return code == CURLE_OK ? 0 : -EINVAL;
}

int fetch_start(struct fetch *http, const struct fetch_request *config,
		struct fetch_call **ret_call)
{
	struct fetch_call *call = calloc(1, sizeof(*call));
	int r;

	if (!call)
		return -ENOMEM;
	*call = (struct fetch_call){
		.next = http->calls,
		.at = &http->calls,
		.http = http,
		.on_data = config->on_data,
		.on_done = config->on_done,
		.userdata = config->userdata,
	};
	if (call->next)
		call->next->at = &call->next;
	http->calls = call;
	r = prepare(call, config);
	if (r < 0) {
		call_free(call);
		return r;
	}
	look_later(http);
	*ret_call = call;
	return 0;
}

/* ---- together ---- */

static int open_multi(struct fetch *http)
{
	CURLMcode code;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	http->has_ca_dir = is_ca_dir(curl_version_info(CURLVERSION_NOW)->capath);
	http->multi = curl_multi_init();
	if (!http->multi)
		return -ENOMEM;
	code = curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	if (code == CURLM_OK)
		code = curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	if (code == CURLM_OK)
		code = curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	if (code == CURLM_OK)
		code = curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	return code == CURLM_OK ? 0 : -EINVAL;
}

static int add_sources(struct fetch *http)
{
	int r;

	r = sd_event_add_time(http->event, &http->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, http);
	if (r >= 0)
		r = sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_defer(http->event, &http->later, on_later, http);
	if (r >= 0)
		r = sd_event_source_set_enabled(http->later, SD_EVENT_OFF);
	return r;
}

int fetch_new(sd_event *event, const struct fetch_config *config, struct fetch **ret_http)
{
	_cleanup_(fetch_freep) struct fetch *http = calloc(1, sizeof(*http));
	int r;

	if (!http)
		return -ENOMEM;
	http->event = sd_event_ref(event);
	http->user_agent = strdup(config->user_agent);
	if (!http->user_agent)
		return -ENOMEM;
	if (config->ca_file && !(http->ca_file = strdup(config->ca_file)))
		return -ENOMEM;
	if (config->proxy && !(http->proxy = strdup(config->proxy)))
		return -ENOMEM;
	r = add_sources(http);
	if (r >= 0)
		r = open_multi(http);
	if (r < 0)
		return r;
	*ret_http = take_ptr(http);
	return 0;
}

struct fetch *fetch_free(struct fetch *http)
{
	if (!http)
		return NULL;
	while (http->calls)
		call_free(http->calls);
	if (http->multi)
		(void)curl_multi_cleanup(http->multi);
	sd_event_source_disable_unref(http->timer);
	sd_event_source_disable_unref(http->later);
	sd_event_unref(http->event);
	free(http->user_agent);
	free(http->ca_file);
	free(http->proxy);
	free(http);
	return NULL;
}
