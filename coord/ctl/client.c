#include "coord/ctl/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/file.h"
#include "common/text.h"

#define CONNECT_SECONDS 10L
#define TOTAL_SECONDS	120L
/* Of an answer that may take for ever; streams say something every 25 s. */
#define SILENCE_SECONDS 75L
#define MAX_KEY_FILE	4096u
#define MAX_REPLY	((size_t)256 << 20)
#define MAX_ETAG	256u
#define ADMIN_PATH	"/v1/admin/"

struct client {
	CURL *curl;
	char *socket; /* NULL: url */
	char *url;
	char *key; /* NULL: none */
	char *ca_file;
};

_printf_(3, 4) static int fail(char **reterr_text, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	*reterr_text = text_vprintf(fmt, ap);
	va_end(ap);
	return *reterr_text ? error : -ENOMEM;
}

/* ---- beginning ---- */

/* An API key does not go over the network in the clear. */
static bool is_local(const char *url)
{
	static const char *const hosts[] = {
		"http://localhost",
		"http://127.0.0.1",
		"http://[::1]",
	};

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		size_t len = strlen(hosts[i]);

		if (strncmp(url, hosts[i], len) == 0 && strchr(":/", url[len]))
			return true;
	}
	return false;
}

static int take_url(struct client *client, const char *url, char **reterr_text)
{
	size_t len = strlen(url);

	if ((strncmp(url, "https://", 8) != 0 && !is_local(url)) || strpbrk(url, " ?#@"))
		return fail(reterr_text, -EINVAL,
			    "--url %s: expected https://HOST[:PORT][/PATH]; an API key does not go "
			    "over the network in the clear",
			    url);
	while (len > 0 && url[len - 1] == '/')
		len--;
	client->url = strndup(url, len);
	return client->url ? 0 : -ENOMEM;
}

static int read_key(const char *path, char **ret_text, size_t *ret_len)
{
	_cleanup_close_ int fd = -1;

	if (strcmp(path, "-") == 0)
		return file_read_stream(STDIN_FILENO, MAX_KEY_FILE, ret_text, ret_len);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : file_read_stream(fd, MAX_KEY_FILE, ret_text, ret_len);
}

static int take_key(struct client *client, const char *path, char **reterr_text)
{
	size_t len;
	int r = read_key(path, &client->key, &len);

	if (r < 0)
		return fail(reterr_text, r, "--api-key-file %s: %s", path, strerror(-r));
	client->key[strcspn(client->key, "\r\n")] = '\0';
	if (strncmp(client->key, "pgapi.", 6) != 0 || strchr(client->key, ' ') ||
	    text_has_control(client->key))
		return fail(reterr_text, -EINVAL, "--api-key-file %s: holds no API key (pgapi....)",
			    path);
	return 0;
}

static int take_config(struct client *client, const struct client_config *config,
		       char **reterr_text)
{
	int r;

	if (!config->url) {
		client->socket = strdup(config->socket);
		client->url = strdup("http://coordinator");
		return client->socket && client->url ? 0 : -ENOMEM;
	}
	r = take_url(client, config->url, reterr_text);
	if (r == 0 && !config->key_file)
		return fail(reterr_text, -EINVAL,
			    "--url takes an API key: --api-key-file FILE (coordctl apikeys create "
			    "makes one)");
	if (r == 0)
		r = take_key(client, config->key_file, reterr_text);
	if (r < 0 || !config->ca_file)
		return r;
	if (access(config->ca_file, R_OK) < 0)
		return fail(reterr_text, -errno, "--ca-file %s: %s", config->ca_file,
			    strerror(errno));
	client->ca_file = strdup(config->ca_file);
	return client->ca_file ? 0 : -ENOMEM;
}

int client_new(const struct client_config *config, char **reterr_text, struct client **ret_client)
{
	_cleanup_(client_freep) struct client *client = calloc(1, sizeof(*client));
	int r;

	if (!client || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	client->curl = curl_easy_init();
	if (!client->curl)
		return -ENOMEM;
	r = take_config(client, config, reterr_text);
	if (r == 0)
		*ret_client = take_ptr(client);
	return r;
}

struct client *client_free(struct client *client)
{
	if (!client)
		return NULL;
	curl_easy_cleanup(client->curl);
	free(client->socket);
	free(client->url);
	if (client->key)
		explicit_bzero(client->key, strlen(client->key));
	free(client->key);
	free(client->ca_file);
	free(client);
	return NULL;
}

/* ---- one request ---- */

struct exchange {
	struct client *client;
	const struct client_request *request;
	struct client_reply reply;
	size_t size;
	int error; /* of ours: why the transfer was given up */
};

void client_reply_done(struct client_reply *reply)
{
	if (reply->body)
		explicit_bzero(reply->body, reply->len);
	free(reply->body);
	free(reply->etag);
	*reply = (struct client_reply){ 0 };
}

static int keep(struct exchange *x, const char *data, size_t len)
{
	struct client_reply *reply = &x->reply;
	size_t size = x->size ? x->size : 4096;
	char *grown;

	if (reply->len + len > MAX_REPLY)
		return -EFBIG;
	while (size < reply->len + len + 1)
		size *= 2;
	if (size != x->size) {
		grown = realloc(reply->body, size);
		if (!grown)
			return -ENOMEM;
		reply->body = grown;
		x->size = size;
	}
	memcpy(reply->body + reply->len, data, len);
	reply->len += len;
	reply->body[reply->len] = '\0';
	return 0;
}

static size_t on_data(char *data, size_t size, size_t n, void *userdata)
{
	struct exchange *x = userdata;
	long status = 0;

	(void)curl_easy_getinfo(x->client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200 && x->request->take)
		x->error = x->request->take(data, size * n, x->request->userdata);
	else
		x->error = keep(x, data, size * n);
	return x->error < 0 ? 0 : size * n;
}

static size_t on_header(char *data, size_t size, size_t n, void *userdata)
{
	static const char name[] = "etag:";
	struct exchange *x = userdata;
	size_t len = size * n, skip = sizeof(name) - 1;

	if (len <= skip || len > MAX_ETAG || strncasecmp(data, name, skip) != 0)
		return len;
	while (skip < len && data[skip] == ' ')
		skip++;
	free(x->reply.etag);
	x->reply.etag = strndup(data + skip, strcspn(data + skip, "\r\n"));
	return len;
}

static int add(struct curl_slist **list, const char *name, const char *value)
{
	_cleanup_free_ char *line = text_printf("%s: %s", name, value);
	struct curl_slist *longer = line ? curl_slist_append(*list, line) : NULL;

	if (line)
		explicit_bzero(line, strlen(line));
	if (!longer)
		return -ENOMEM;
	*list = longer;
	return 0;
}

static int make_headers(const struct exchange *x, struct curl_slist **headers)
{
	_cleanup_free_ char *bearer = NULL;
	int r = add(headers, "Expect", "");

	if (r == 0 && x->request->type)
		r = add(headers, "Content-Type", x->request->type);
	if (r == 0 && x->request->if_match)
		r = add(headers, "If-Match", x->request->if_match);
	if (r < 0 || !x->client->key)
		return r;
	bearer = text_printf("Bearer %s", x->client->key);
	r = bearer ? add(headers, "Authorization", bearer) : -ENOMEM;
	if (bearer)
		explicit_bzero(bearer, strlen(bearer));
	return r;
}

static void free_headers(struct curl_slist *headers)
{
	for (struct curl_slist *h = headers; h; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(headers);
}

static int set_up(struct exchange *x, const char *url, const struct curl_slist *headers)
{
	const struct client *client = x->client;
	CURL *curl = client->curl;
	CURLcode r = CURLE_OK;

	curl_easy_reset(curl);
	r |= curl_easy_setopt(curl, CURLOPT_URL, url);
	r |= curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, x->request->method);
	r |= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	r |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	r |= curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	r |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	r |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	r |= curl_easy_setopt(curl, CURLOPT_TIMEOUT, x->request->endless ? 0L : TOTAL_SECONDS);
	r |= curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	r |= curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SILENCE_SECONDS);
	r |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	r |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
	r |= curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	r |= curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
	if (client->socket)
		r |= curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket);
	/* A proxy that the environment names is for TLS: the key is not for it to read. */
	if (strncmp(client->url, "https:", 6) != 0)
		r |= curl_easy_setopt(curl, CURLOPT_PROXY, "");
	if (client->ca_file)
		r |= curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file);
	if (x->request->body) {
		r |= curl_easy_setopt(curl, CURLOPT_POSTFIELDS, x->request->body);
		r |= curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
				      (curl_off_t)x->request->len);
	}
	return r == CURLE_OK ? 0 : -ENOMEM;
}

/* libcurl does not say why it cannot connect to a socket; the kernel does. */
static int why_unreachable(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : -EIO;
}

static int fail_socket(const char *path, char **reterr_text)
{
	int r = why_unreachable(path);

	if (r == -ENOENT || r == -ECONNREFUSED)
		return fail(reterr_text, r,
			    "the coordinator is not running: nobody listens at %s; see "
			    "\"systemctl status peergate-coord\"",
			    path);
	if (r == -EACCES)
		return fail(reterr_text, r,
			    "%s: permission denied; it is for root, and for the members of the "
			    "group peergate-admin (AdminGroup= of coord.conf), from their next "
			    "login on",
			    path);
	return fail(reterr_text, r, "%s: %s", path, strerror(-r));
}

static int fail_transfer(const struct exchange *x, CURLcode code, char **reterr_text)
{
	const char *where = x->client->socket ? x->client->socket : x->client->url;

	if (x->error < 0 && x->request->take)
		return x->error;
	if (x->error == -EFBIG)
		return fail(reterr_text, -EFBIG, "%s: the answer is too large", where);
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		if (x->client->socket)
			return fail_socket(x->client->socket, reterr_text);
		break;
	case CURLE_OPERATION_TIMEDOUT:
		return fail(reterr_text, -ETIME, "%s: no answer in time", where);
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		break;
	}
	return fail(reterr_text, -EIO, "%s: %s", where, curl_easy_strerror(code));
}

static int perform(struct exchange *x, const char *url, const struct curl_slist *headers,
		   char **reterr_text)
{
	int r = set_up(x, url, headers);
	long status = 0;
	CURLcode code;

	if (r < 0)
		return r;
	code = curl_easy_perform(x->client->curl);
	if (code != CURLE_OK)
		return fail_transfer(x, code, reterr_text);
	(void)curl_easy_getinfo(x->client->curl, CURLINFO_RESPONSE_CODE, &status);
	x->reply.status = (unsigned)status;
	return keep(x, "", 0);
}

int client_ask(struct client *client, const struct client_request *request, char **reterr_text,
	       struct client_reply *ret_reply)
{
	_cleanup_free_ char *url = text_printf("%s" ADMIN_PATH "%s", client->url, request->path);
	struct exchange x = { .client = client, .request = request };
	struct curl_slist *headers = NULL;
	int r = make_headers(&x, &headers);

	if (r == 0)
		r = url ? perform(&x, url, headers, reterr_text) : -ENOMEM;
	free_headers(headers);
	if (r < 0)
		client_reply_done(&x.reply);
	else
		*ret_reply = x.reply;
	return r;
}

char *client_path(const char *prefix, const char *word, const char *suffix)
{
	char *encoded = curl_easy_escape(NULL, word, 0);
	char *path = encoded ? text_printf("%s%s%s", prefix, encoded, suffix) : NULL;

	curl_free(encoded);
	return path;
}
