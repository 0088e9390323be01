/*
 * A layer between SQLite and its files: makes operations fail, and keeps a record of what was
 * written and synced, from which can be told what a power cut may leave.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Becomes the default of all that is opened from now on. */
void shim_install(void);
void shim_remove(void);

/* ---- failures ---- */

enum shim_failure {
	SHIM_IO,	  /* what the operation is: a write error, ... */
	SHIM_FULL,	  /* of writes; SHIM_IO else */
	SHIM_IO_PERSISTS, /* and all later operations as well */
};

/* Operation n (1: the next one) fails. 0: none does any more. */
void shim_fail(unsigned n, enum shim_failure how);
/* An operation that does not go through SQLite: has it to fail? */
bool shim_fails_now(void);
/* Whether one has failed since shim_fail(). */
bool shim_failed(void);

/* ---- power ---- */

void shim_record_begin(void);
void shim_record_end(void);
/* Operations so far: a point in time. */
size_t shim_now(void);

enum shim_loss {
	SHIM_LOSE_ALL,	/* all that was not synced */
	SHIM_LOSE_NONE, /* nothing (the process was killed) */
	SHIM_LOSE_SOME, /* single sectors of it, at random */
	N_SHIM_LOSSES,
};
/*
 * Make the files in a folder what they would be there after a power cut at this point. They have
 * the names that they had when they were recorded; folders are not told apart.
 */
void shim_make_files(const char *folder, size_t now, enum shim_loss loss);
