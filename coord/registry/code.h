/* Texts of keys, codes and ids: made from randomness, and taken from people. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/random.h"
#include "common/sha256.h"
#include "coord/registry/model.h"

#define CODE_LEN    8u
#define SECRET_LEN  32u /* bytes */
#define SECRET_SIZE RANDOM_SECRET_SIZE
#define ID_SIZE	    14u

/* All of these from getrandom(2). Return: 0, negative errno. */
int code_new(char ret_code[CODE_LEN + 1]);
/* letter and 12 of a-z 2-7 */
int id_new(char letter, char ret_id[ID_SIZE]);
/* 6 of a-z 2-7 */
int id_suffix_new(char ret_suffix[7]);

/* Eight letters and digits, without those that are taken for others or make words. */
bool code_is_valid(const char *code);
/* As people type it: either case, hyphens and blanks anywhere. Return: whether it may be one. */
bool code_normalize(const char *text, char ret_code[CODE_LEN + 1]);

/*
 * Of a check: its id, which is part of the address of a page, as that of an enrolment is
 * (RECORD_CHECK_ID characters, as hard to guess as a key), the code that people compare
 * ("123-456"), and the id of one of its logins, which is the check's id and the number.
 */
#define CHECK_ID_SIZE	 (RECORD_CHECK_ID + 1)
#define CHECK_CODE_SIZE	 8u
#define CHECK_LOGIN_SIZE (RECORD_CHECK_ID + RECORD_LOGIN_SUFFIX + 1)
int check_id_new(char ret_id[CHECK_ID_SIZE]);
bool check_id_is_valid(const char *id);
int check_code_new(char ret_code[CHECK_CODE_SIZE]);
bool check_code_is_valid(const char *code);
/* number: below RECORD_MAX_LOGINS. */
void check_login_id(const char *id, size_t number, char ret_text[CHECK_LOGIN_SIZE]);
/* Return: whether it may be one. */
bool check_login_id_parse(const char *text, char ret_id[CHECK_ID_SIZE], size_t *ret_number);

/* 32 random bytes in base64url, and their SHA-256, which is what is kept. Return: as above. */
int secret_new(char ret_text[SECRET_SIZE], uint8_t ret_hash[SHA256_LEN]);
/* The hash of a secret's text of this length. Return: 0, -EINVAL: it is none; -EIO. */
int secret_hash(const char *text, size_t len, uint8_t ret_hash[SHA256_LEN]);
/* In constant time. */
bool secret_hash_equal(const uint8_t a[SHA256_LEN], const uint8_t b[SHA256_LEN]);

/* "PREFIX.ID.SECRET" or "PREFIX.ID.SECRET.REST", taken apart; all of it is borrowed. */
struct key_text {
	char id[ID_SIZE];
	uint8_t hash[SHA256_LEN];
	const char *rest; /* NULL: there is none */
};
/* Return: 0, -EINVAL, -EIO. */
int key_text_parse(const char *prefix, char letter, const char *text, struct key_text *ret_key);
