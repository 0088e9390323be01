#include "tests/unit/shim-vfs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/text.h"

#define MAX_NAME   64
#define MAX_NAMES  8
#define MAX_INODES 64
#define NO_INODE   (-1)
#define SECTOR	   512

enum operation {
	OPEN,
	READ,
	WRITE,
	TRUNCATE,
	SYNC,
	DELETE,
	SYNC_FOLDER,
};

/* OPEN: of a file that is new. DELETE and OPEN change the folder, the others the inode. */
struct record {
	enum operation operation;
	char name[MAX_NAME];
	int inode;
	int64_t offset; /* TRUNCATE: size */
	void *data;
	size_t len;
};

static struct {
	sqlite3_vfs *real, vfs;
	unsigned n, failing, n_failed;
	enum shim_failure how;
	bool recording;
	struct record *records;
	size_t n_records;
	struct name {
		char text[MAX_NAME];
		int inode;
	} names[MAX_NAMES]; /* the folder, as recorded */
	int n_inodes;
} shim;

struct shim_file {
	sqlite3_file base;
	int inode;
	bool sync_folder; /* with the file, next time */
			  /* the real one follows */
};

static struct shim_file *shim_file(sqlite3_file *file)
{
	return (struct shim_file *)file;
}

static sqlite3_file *real_file(sqlite3_file *file)
{
	return (sqlite3_file *)(shim_file(file) + 1);
}

/* ---- before each operation ---- */

void shim_fail(unsigned n, enum shim_failure how)
{
	shim.n = shim.n_failed = 0;
	shim.failing = n;
	shim.how = how;
}

bool shim_failed(void)
{
	return shim.n_failed > 0;
}

bool shim_fails_now(void)
{
	if (shim.failing == 0 || ++shim.n < shim.failing ||
	    (shim.n > shim.failing && shim.how != SHIM_IO_PERSISTS))
		return false;
	shim.n_failed++;
	return true;
}

/* Return: SQLITE_OK or what the operation shall fail with. */
static int meet_failure(enum operation operation)
{
	static const int codes[] = {
		[OPEN] = SQLITE_CANTOPEN,     [READ] = SQLITE_IOERR_READ,
		[WRITE] = SQLITE_IOERR_WRITE, [TRUNCATE] = SQLITE_IOERR_TRUNCATE,
		[SYNC] = SQLITE_IOERR_FSYNC,  [DELETE] = SQLITE_IOERR_DELETE,
	};

	if (!shim_fails_now())
		return SQLITE_OK;
	return shim.how == SHIM_FULL && operation == WRITE ? SQLITE_FULL : codes[operation];
}

/* ---- the record ---- */

static void keep(enum operation operation, int inode, int64_t offset, const void *data, size_t len)
{
	struct record *record;

	if (!shim.recording)
		return;
	shim.records = realloc(shim.records, (shim.n_records + 1) * sizeof(*record));
	record = &shim.records[shim.n_records++];
	*record = (struct record){
		.operation = operation, .inode = inode, .offset = offset, .len = len
	};
	if (len > 0)
		record->data = memcpy(malloc(len), data, len);
}

static struct name *find_name(struct name *names, const char *text)
{
	for (size_t i = 0; i < MAX_NAMES; i++) {
		if (!names[i].text[0]) {
			snprintf(names[i].text, MAX_NAME, "%s", text);
			names[i].inode = NO_INODE;
		}
		if (strcmp(names[i].text, text) == 0)
			return &names[i];
	}
	fail_msg("too many files");
	return NULL;
}

static void keep_name(enum operation operation, const struct name *name)
{
	keep(operation, name->inode, 0, NULL, 0);
	memcpy(shim.records[shim.n_records - 1].name, name->text, MAX_NAME);
}

/* Return: the inode. */
static int keep_open(const char *text)
{
	struct name *name;

	if (!shim.recording)
		return NO_INODE;
	name = find_name(shim.names, text);
	if (name->inode == NO_INODE) {
		assert_true(shim.n_inodes < MAX_INODES);
		name->inode = shim.n_inodes++;
		keep_name(OPEN, name);
	}
	return name->inode;
}

static void keep_delete(const char *text)
{
	struct name *name;

	if (!shim.recording)
		return;
	name = find_name(shim.names, text);
	keep_name(DELETE, name);
	name->inode = NO_INODE;
}

/* ---- files ---- */

static int shim_close(sqlite3_file *file)
{
	return real_file(file)->pMethods->xClose(real_file(file));
}

static int shim_read(sqlite3_file *file, void *data, int len, sqlite3_int64 offset)
{
	int rc = meet_failure(READ);

	return rc ? rc : real_file(file)->pMethods->xRead(real_file(file), data, len, offset);
}

static int shim_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
	int rc = meet_failure(WRITE);

	if (rc == SQLITE_OK)
		rc = real_file(file)->pMethods->xWrite(real_file(file), data, len, offset);
	if (rc == SQLITE_OK)
		keep(WRITE, shim_file(file)->inode, offset, data, (size_t)len);
	return rc;
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int rc = meet_failure(TRUNCATE);

	if (rc == SQLITE_OK)
		rc = real_file(file)->pMethods->xTruncate(real_file(file), size);
	if (rc == SQLITE_OK)
		keep(TRUNCATE, shim_file(file)->inode, size, NULL, 0);
	return rc;
}

static int shim_sync(sqlite3_file *file, int flags)
{
	int rc = meet_failure(SYNC);

	if (rc == SQLITE_OK)
		rc = real_file(file)->pMethods->xSync(real_file(file), flags);
	if (rc != SQLITE_OK)
		return rc;
	keep(SYNC, shim_file(file)->inode, 0, NULL, 0);
	if (shim_file(file)->sync_folder)
		keep(SYNC_FOLDER, NO_INODE, 0, NULL, 0);
	shim_file(file)->sync_folder = false;
	return SQLITE_OK;
}

static int shim_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return real_file(file)->pMethods->xFileSize(real_file(file), size);
}

static int shim_lock(sqlite3_file *file, int level)
{
	return real_file(file)->pMethods->xLock(real_file(file), level);
}

static int shim_unlock(sqlite3_file *file, int level)
{
	return real_file(file)->pMethods->xUnlock(real_file(file), level);
}

static int shim_check_lock(sqlite3_file *file, int *ret)
{
	return real_file(file)->pMethods->xCheckReservedLock(real_file(file), ret);
}

static int shim_control(sqlite3_file *file, int op, void *arg)
{
	return real_file(file)->pMethods->xFileControl(real_file(file), op, arg);
}

static int shim_sector_size(sqlite3_file *file)
{
	return real_file(file)->pMethods->xSectorSize(real_file(file));
}

static int shim_characteristics(sqlite3_file *file)
{
	return real_file(file)->pMethods->xDeviceCharacteristics(real_file(file));
}

/* No shared memory: a store has no need of it. */
static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = shim_close,
	.xRead = shim_read,
	.xWrite = shim_write,
	.xTruncate = shim_truncate,
	.xSync = shim_sync,
	.xFileSize = shim_file_size,
	.xLock = shim_lock,
	.xUnlock = shim_unlock,
	.xCheckReservedLock = shim_check_lock,
	.xFileControl = shim_control,
	.xSectorSize = shim_sector_size,
	.xDeviceCharacteristics = shim_characteristics,
};

/* "c" of "/a/b/c" */
static const char *last_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

static int shim_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
		     int *ret_flags)
{
	int rc = meet_failure(OPEN);

	file->pMethods = NULL;
	if (rc == SQLITE_OK)
		rc = shim.real->xOpen(shim.real, path, real_file(file), flags, ret_flags);
	if (rc != SQLITE_OK)
		return rc;
	file->pMethods = &methods;
	shim_file(file)->inode = keep_open(last_name(path));
	/* SQLite syncs a new log's folder with the log (os_unix.c, UNIXFILE_DIRSYNC). */
	shim_file(file)->sync_folder = flags & SQLITE_OPEN_CREATE;
	/* And the store has made the database's file before, and synced the folder. */
	if (flags & SQLITE_OPEN_MAIN_DB)
		keep(SYNC_FOLDER, NO_INODE, 0, NULL, 0);
	return SQLITE_OK;
}

static int shim_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
	int rc = meet_failure(DELETE);

	if (rc == SQLITE_OK)
		rc = shim.real->xDelete(shim.real, path, sync_folder);
	if (rc != SQLITE_OK)
		return rc;
	keep_delete(last_name(path));
	if (sync_folder)
		keep(SYNC_FOLDER, NO_INODE, 0, NULL, 0);
	return SQLITE_OK;
}

void shim_install(void)
{
	shim.real = sqlite3_vfs_find("unix");
	/* The rest has no need of us. */
	shim.vfs = *shim.real;
	shim.vfs.zName = "shim";
	shim.vfs.pNext = NULL;
	shim.vfs.szOsFile = (int)sizeof(struct shim_file) + shim.real->szOsFile;
	shim.vfs.xOpen = shim_open;
	shim.vfs.xDelete = shim_delete;
	assert_int_equal(sqlite3_vfs_register(&shim.vfs, true), SQLITE_OK);
}

void shim_remove(void)
{
	sqlite3_vfs_unregister(&shim.vfs);
}

/* ---- power ---- */

void shim_record_begin(void)
{
	shim.recording = true;
}

void shim_record_end(void)
{
	shim.recording = false;
	for (size_t i = 0; i < shim.n_records; i++)
		free(shim.records[i].data);
	free(shim.records);
	shim.records = NULL;
	shim.n_records = 0;
	memset(shim.names, 0, sizeof(shim.names));
	shim.n_inodes = 0;
}

size_t shim_now(void)
{
	return shim.n_records;
}

/* A file on the disk. */
struct image {
	uint8_t *data;
	size_t len, size;
	size_t pending; /* the first record that may not have got there */
};

static void image_resize(struct image *image, size_t len)
{
	if (len > image->size) {
		image->size = 2 * len;
		image->data = realloc(image->data, image->size);
	}
	if (len > image->len)
		memset(image->data + image->len, 0, len - image->len);
	image->len = len;
}

static bool gets_there(enum shim_loss loss)
{
	return loss == SHIM_LOSE_NONE || (loss == SHIM_LOSE_SOME && random() % 2);
}

static void image_write(struct image *image, const struct record *record, enum shim_loss loss)
{
	size_t start = (size_t)record->offset, end = start + record->len, next;

	for (size_t at = start; at < end; at = next) {
		next = (at / SECTOR + 1) * SECTOR;
		if (next > end)
			next = end;
		if (!gets_there(loss))
			continue;
		if (next > image->len)
			image_resize(image, next);
		memcpy(image->data + at, (uint8_t *)record->data + (at - start), next - at);
	}
}

/* What was done to the file up to now, as far as it gets there. */
static void image_advance(struct image *image, int inode, size_t now, enum shim_loss loss)
{
	for (; image->pending < now; image->pending++) {
		const struct record *record = &shim.records[image->pending];

		if (record->inode != inode)
			continue;
		if (record->operation == WRITE)
			image_write(image, record, loss);
		else if (record->operation == TRUNCATE && gets_there(loss))
			image_resize(image, (size_t)record->offset);
	}
}

/* A file system changes a folder in order: some of what was done, from the beginning, is lost. */
static void make_names(struct name *names, size_t now, enum shim_loss loss)
{
	size_t end = 0;

	for (size_t i = 0; i < now; i++)
		if (shim.records[i].operation == SYNC_FOLDER)
			end = i;
	if (loss == SHIM_LOSE_NONE)
		end = now;
	else if (loss == SHIM_LOSE_SOME)
		end += (size_t)random() % (now - end + 1);
	for (size_t i = 0; i < end; i++) {
		const struct record *record = &shim.records[i];

		if (record->operation == OPEN)
			find_name(names, record->name)->inode = record->inode;
		else if (record->operation == DELETE)
			find_name(names, record->name)->inode = NO_INODE;
	}
}

static void write_image(const char *folder, const char *name, const struct image *image)
{
	_cleanup_free_ char *path = text_printf("%s/%s", folder, name);

	assert_int_equal(file_write_atomic(AT_FDCWD, path, image->data, image->len, 0600), 0);
}

void shim_make_files(const char *folder, size_t now, enum shim_loss loss)
{
	struct image images[MAX_INODES] = { 0 };
	struct name names[MAX_NAMES] = { 0 };

	for (size_t i = 0; i < now; i++)
		if (shim.records[i].operation == SYNC)
			image_advance(&images[shim.records[i].inode], shim.records[i].inode, i,
				      SHIM_LOSE_NONE);
	for (int i = 0; i < shim.n_inodes; i++)
		image_advance(&images[i], i, now, loss);
	make_names(names, now, loss);
	for (size_t i = 0; i < MAX_NAMES && names[i].text[0]; i++)
		if (names[i].inode != NO_INODE)
			write_image(folder, names[i].text, &images[names[i].inode]);
	for (int i = 0; i < shim.n_inodes; i++)
		free(images[i].data);
}
