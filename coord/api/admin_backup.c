/*
 * GET backup: a copy of the database, put together in a file step by step between other work, and
 * sent when it is complete.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "coord/api/admin.h"
#include "coord/store/sqlite.h"

#define CHUNK (256u << 10)

struct backup {
	struct api *api;
	char *path;

	struct admin_call *call; /* NULL: it is being answered, or has been given up */
	struct store_backup *copy;
	sd_event_source *step;

	struct http_stream *stream;
	int fd;
};

/* Nobody is told. */
static void backup_end(struct backup *backup)
{
	backup->api->is_backing_up = false;
	sd_event_source_disable_unref(backup->step);
	store_sqlite_backup_free(backup->copy);
	admin_call_free(backup->call);
	http_stream_close(backup->stream);
	close_fd(backup->fd);
	free(backup->path);
	free(backup);
}

/* ---- sending ---- */

static void on_closed(struct http_stream *stream, enum http_stream_end why, void *userdata)
{
	struct backup *backup = userdata;

	backup->stream = NULL;
	backup_end(backup);
}

/* The next part. A file that ends early is seen by whoever reads it: it says how long it is. */
static void on_drained(struct http_stream *stream, void *userdata)
{
	struct backup *backup = userdata;
	_cleanup_(http_buf_unrefp) struct http_buf *buf = NULL;
	_cleanup_free_ char *chunk = malloc(CHUNK);
	ssize_t n = chunk ? read(backup->fd, chunk, CHUNK) : -1;

	if (n > 0)
		buf = http_buf_take(take_ptr(chunk), (size_t)n);
	if (!buf || http_stream_write(stream, buf) < 0)
		backup_end(backup);
}

static int open_stream(struct backup *backup)
{
	const struct http_stream_config config = {
		.content_type = "application/vnd.sqlite3",
		.on_closed = on_closed,
		.on_drained = on_drained,
		.userdata = backup,
	};

	return http_stream_open(backup->call->req, &config, &backup->stream);
}

/* The copy is complete. Nobody sees the file but us. */
static int send_copy(struct backup *backup)
{
	int r;

	backup->copy = store_sqlite_backup_free(backup->copy);
	backup->fd = open(backup->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	r = backup->fd < 0 ? -errno : 0;
	unlink(backup->path);
	if (r == 0)
		r = open_stream(backup);
	if (r < 0)
		return r;
	backup->call = admin_call_free(backup->call);
	on_drained(backup->stream, backup);
	return 0;
}

/* ---- copying ---- */

static void fail(struct backup *backup, int error, const char *text)
{
	struct admin_call *call = take_ptr(backup->call);

	(void)admin_call_refuse(call, 503, "unavailable", "%s", text ? text : strerror(-error));
	backup_end(backup);
}

static int on_step(sd_event_source *source, void *userdata)
{
	struct backup *backup = userdata;
	_cleanup_free_ char *text = NULL;
	int r = store_sqlite_backup_step(backup->copy, &text);

	if (r == STORE_BACKUP_MORE)
		return 0;
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	if (r == 0)
		r = send_copy(backup);
	if (r < 0)
		fail(backup, r, text);
	return 0;
}

static void on_gone(struct http_request *req, void *userdata)
{
	backup_end(userdata);
}

/* After whatever else there is to do. */
static int begin(struct backup *backup, char **reterr_text)
{
	const struct api *api = backup->api;
	int r;

	backup->path = text_printf("%s/backup.db", api->state_dir);
	if (!backup->path)
		return -ENOMEM;
	r = store_sqlite_backup_new(api->store, backup->path, reterr_text, &backup->copy);
	if (r == 0)
		r = sd_event_add_defer(api->event, &backup->step, on_step, backup);
	if (r >= 0)
		r = sd_event_source_set_priority(backup->step, SD_EVENT_PRIORITY_IDLE);
	if (r >= 0)
		r = sd_event_source_set_enabled(backup->step, SD_EVENT_ON);
	return r;
}

int admin_backup(struct admin_call *call)
{
	_cleanup_free_ char *text = NULL;
	struct backup *backup;
	int r;

	if (!call->is_root)
		return admin_call_refuse(call, 403, "not-allowed",
					 "a backup holds all there is; only root may make one");
	if (call->api->is_backing_up)
		return admin_call_refuse(call, 409, "conflict", "another backup is being made");
	backup = calloc(1, sizeof(*backup));
	if (!backup)
		return admin_call_fail(call, -ENOMEM);
	*backup = (struct backup){ .api = call->api, .call = call, .fd = -1 };
	call->api->is_backing_up = true;
	r = begin(backup, &text);
	if (r < 0)
		fail(backup, r, text);
	else
		http_request_on_gone(call->req, on_gone, backup);
	return 0;
}
