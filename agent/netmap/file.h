/*
 * The map file (Netmap=), watched: every way in which it can come to have other contents leads to
 * it being read again: written in place, renamed over, its directory replaced.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

struct mapfile;

/*
 * Called with the file's text, or (text NULL) with the reason why there is none. Both are borrowed
 * for the call. Not to free the mapfile.
 */
typedef void (*mapfile_fn)(void *userdata, const char *text, size_t len, const char *problem);

/*
 * Absolute, no empty components, no "." or "..", not too deep: what can be watched component by
 * component.
 */
bool mapfile_path_is_plain(const char *path);

/*
 * Watch path (plain, see above). The file has to belong to owner (0 for root), be writable by
 * nobody else, and be no symbolic link, whose target would not be watched. Directories on the way
 * need not exist yet. Return: 0, -EINVAL (no plain path) and other errnos.
 */
int mapfile_new(sd_event *event, const char *path, uid_t owner, mapfile_fn fn, void *userdata,
		struct mapfile **ret_mapfile);
struct mapfile *mapfile_free(struct mapfile *mapfile);
DEFINE_CLEANUP(struct mapfile *, mapfile_free);

/*
 * Read a map file once, by the same rules.
 * Return: 0 and *ret_text (the caller's; NUL behind its end); negative errno and *reterr_text
 * ("PATH: what is wrong; ..."; the caller's, NULL when there is no memory for it).
 */
int mapfile_load(const char *path, uid_t owner, char **ret_text, size_t *ret_len,
		 char **reterr_text);

/*
 * Read the file and call fn now. What may pass (no descriptors, no memory, an I/O error) is
 * reported and tried again, after pauses from 1 s to 30 s.
 */
void mapfile_read(struct mapfile *mapfile);
/* Likewise, when what may pass has happened to whoever wanted the text. */
void mapfile_read_later(struct mapfile *mapfile);
