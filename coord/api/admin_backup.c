/* GET backup: a copy of the database, as it is now. */
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
	struct http_stream *stream;
	int fd;
};

static void backup_end(struct backup *backup)
{
	http_stream_close(backup->stream);
	backup->api->is_backing_up = false;
	close_fd(backup->fd);
	free(backup);
}

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

/* Nobody sees the file but us. Return: its descriptor; negative errno and *reterr_text. */
static int make_copy(const struct api *api, char **reterr_text)
{
	_cleanup_free_ char *path = text_printf("%s/backup.db", api->state_dir);
	int fd, r;

	if (!path)
		return -ENOMEM;
	r = store_sqlite_backup(api->store, path, reterr_text);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	r = fd < 0 ? -errno : 0;
	unlink(path);
	return r < 0 ? r : fd;
}

/* Takes fd. */
static int send_copy(struct admin_call *call, int fd)
{
	struct backup *backup = calloc(1, sizeof(*backup));
	const struct http_stream_config config = {
		.content_type = "application/vnd.sqlite3",
		.on_closed = on_closed,
		.on_drained = on_drained,
		.userdata = backup,
	};
	int r = backup ? http_stream_open(call->req, &config, &backup->stream) : -ENOMEM;

	if (r < 0) {
		close_fd(fd);
		free(backup);
		return admin_call_fail(call, r);
	}
	backup->api = call->api;
	backup->fd = fd;
	backup->api->is_backing_up = true;
	admin_call_free(call);
	on_drained(backup->stream, backup);
	return 0;
}

int admin_backup(struct admin_call *call)
{
	_cleanup_free_ char *text = NULL;
	int fd;

	if (!call->is_root)
		return admin_call_refuse(call, 403, "not-allowed",
					 "a backup holds all there is; only root may make one");
	if (call->api->is_backing_up)
		return admin_call_refuse(call, 409, "conflict", "another backup is being made");
	fd = make_copy(call->api, &text);
	if (fd < 0)
		return admin_call_refuse(call, 503, "unavailable", "%s",
					 text ? text : strerror(-fd));
	return send_copy(call, fd);
}
