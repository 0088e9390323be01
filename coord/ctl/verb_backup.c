/* "backup" and "restore". */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/text.h"
#include "coord/ctl/ctl.h"
#include "coord/ctl/offline.h"
#include "coord/store/sqlite.h"
#include "peergate-config.h"

/* The head of an SQLite file (sqlite.org/fileformat2.html, 1.3): 16 bytes of magic, the size of
 * pages at 16, their number at 28; both big-endian. */
#define HEAD_LEN   100
#define MAGIC	   "SQLite format 3"
#define PAGE_SIZE  16
#define PAGE_COUNT 28

struct copy {
	int fd;
	uint64_t len;
	uint8_t head[HEAD_LEN];
};

static int take(const char *data, size_t len, void *userdata)
{
	struct copy *copy = userdata;

	if (copy->len < HEAD_LEN) {
		size_t rest = HEAD_LEN - (size_t)copy->len;

		memcpy(copy->head + copy->len, data, len < rest ? len : rest);
	}
	copy->len += len;
	while (len > 0) {
		ssize_t n = write(copy->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static uint32_t number_at(const uint8_t *bytes, size_t n)
{
	uint32_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* The stream of an answer ends early, if the coordinator ends: the file says how long it is. */
static bool is_whole(const struct copy *copy)
{
	uint32_t size = number_at(copy->head + PAGE_SIZE, 2);
	uint32_t count = number_at(copy->head + PAGE_COUNT, 4);

	if (copy->len < HEAD_LEN || memcmp(copy->head, MAGIC, sizeof(MAGIC)) != 0)
		return false;
	/* 1 stands for 65536, which 16 bits do not hold. */
	return copy->len == (uint64_t)(size == 1 ? 65536 : size) * count;
}

static int fetch(struct ctl *ctl, const char *path, struct copy *copy)
{
	_cleanup_(client_reply_done) struct client_reply reply = { 0 };
	const struct client_request request = {
		.method = "GET",
		.path = "backup",
		.take = take,
		.userdata = copy,
		.endless = true,
	};
	int r = ctl_ask_raw(ctl, &request, 0, &reply);

	if (r == CLI_OK && !is_whole(copy))
		return ctl_tell(ctl, "the backup broke off; nothing was written to %s", path);
	return r;
}

static int finish(struct ctl *ctl, const struct copy *copy, const char *temporary, const char *path)
{
	if (fsync(copy->fd) < 0 || rename(temporary, path) < 0)
		return ctl_tell(ctl, "%s: %s", path, strerror(errno));
	return CLI_OK;
}

static int tell_done(struct ctl *ctl, const char *path, uint64_t len)
{
	int r;

	if (ctl->json)
		return ctl_print_json(
			ctl, json_pack("{s:s, s:I}", "file", path, "bytes", (json_int_t)len));
	r = cli_show(&ctl->out, CLI_PLAIN, "%s: %llu bytes", path, (unsigned long long)len);
	fputs("\nIt holds nodes, users, keys (as hashes), policy and events. The coordinator's "
	      "own\n"
	      "key is not in it: keep a copy of " PEERGATE_COORD_STATE_DIR "/coordinator.key as\n"
	      "well, without which all hosts have to enrol anew.\n",
	      ctl->out.file);
	return ctl_rendered(ctl, r);
}

int verb_backup(int argc, char **argv, void *userdata)
{
	_cleanup_free_ char *temporary = text_printf("%s.part", argv[0]);
	_cleanup_close_ int fd = -1;
	struct ctl *ctl = userdata;
	struct copy copy = { 0 };
	int r;

	if (!temporary)
		return ctl_rendered(ctl, -ENOMEM);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return ctl_tell(ctl, "%s: %s", temporary, strerror(errno));
	copy.fd = fd;
	r = fetch(ctl, argv[0], &copy);
	if (r == CLI_OK)
		r = finish(ctl, &copy, temporary, argv[0]);
	if (r != CLI_OK)
		unlink(temporary);
	return r == CLI_OK ? tell_done(ctl, argv[0], copy.len) : r;
}

/* ---- restore ---- */

static char *absolute(const char *path)
{
	_cleanup_free_ char *folder = NULL;

	if (path[0] == '/')
		return strdup(path);
	folder = getcwd(NULL, 0);
	return folder ? text_printf("%s/%s", folder, path) : NULL;
}

/* Without its key, the coordinator would make another when it starts. */
static int tell_key(struct ctl *ctl)
{
	_cleanup_free_ char *key = text_printf("%s/" OFFLINE_KEY, ctl->state_dir);

	if (!key)
		return -ENOMEM;
	if (access(key, F_OK) < 0)
		ctl_tell(ctl,
			 "warning: %s: %s; put the coordinator's key back before you start it, or "
			 "all hosts have to enrol anew",
			 key, strerror(errno));
	return 0;
}

static int tell_restored(struct ctl *ctl, const char *path, const char *kept)
{
	int r;

	if (ctl->json)
		return ctl_print_json(ctl, json_pack("{s:s, s:s?}", "store", path, "kept", kept));
	r = cli_show(&ctl->out, CLI_PLAIN, "%s: restored", path);
	fputc('\n', ctl->out.file);
	if (kept && r == 0)
		r = cli_show(&ctl->out, CLI_PLAIN, "What was there is kept as %s", kept);
	if (kept)
		fputc('\n', ctl->out.file);
	fputs("Hosts that enrolled since the backup have to enrol anew. Start the coordinator:\n"
	      "systemctl start peergate-coord\n",
	      ctl->out.file);
	return ctl_rendered(ctl, r);
}

int verb_restore(int argc, char **argv, void *userdata)
{
	_cleanup_free_ char *from = absolute(argv[0]), *text = NULL, *kept = NULL, *path = NULL;
	struct ctl *ctl = userdata;
	int r;

	path = text_printf("%s/" OFFLINE_STORE, ctl->state_dir);
	if (!from || !path)
		return ctl_rendered(ctl, -ENOMEM);
	r = store_sqlite_restore(from, path, &text, &kept);
	if (r == -EBUSY)
		return ctl_tell(ctl,
				"%s; stop the coordinator first: systemctl stop "
				"peergate-coord",
				text);
	if (r < 0)
		return ctl_tell(ctl, "%s", text ? text : strerror(-r));
	r = tell_key(ctl);
	return r < 0 ? ctl_rendered(ctl, r) : tell_restored(ctl, path, kept);
}
