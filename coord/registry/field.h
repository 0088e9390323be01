/*
 * Fields of records: one table says how they are read from JSON and written to it, so that what is
 * written can be read.
 */
#pragma once

#include "common/json.h"
#include "coord/registry/model.h"

struct field_type {
	json_read_fn read;
	/*
	 * *ret_value (the caller's) stays NULL for a value that is left out: that of a zeroed
	 * field, or of the kind's defaults. Return: 0, -ENOMEM (also for text that is no UTF-8).
	 */
	int (*write)(const void *field, json_t **ret_value);
};

struct field {
	const char *name;
	const struct field_type *type;
	size_t offset;
	unsigned flags; /* JSON_REQUIRED; what is null counts as absent in any case */
};

extern const struct field_type field_text;	 /* char *: up to RECORD_MAX_TEXT bytes */
extern const struct field_type field_long_text;	 /* char *: up to RECORD_MAX_DETAILS bytes */
extern const struct field_type field_name;	 /* char *: id of a record, plain ASCII */
extern const struct field_type field_label;	 /* char * */
extern const struct field_type field_domain;	 /* char * */
extern const struct field_type field_login;	 /* char * */
extern const struct field_type field_tags;	 /* struct text_list: sorted, each once */
extern const struct field_type field_host_keys;	 /* struct text_list */
extern const struct field_type field_groups;	 /* struct text_list: sorted, each once */
extern const struct field_type field_crypt;	 /* char *: hash of a password */
extern const struct field_type field_totp;	 /* char * */
extern const struct field_type field_identities; /* struct identity_list: each once */
extern const struct field_type field_endpoints;	 /* struct endpoint_list */
extern const struct field_type field_address;	 /* struct ip_addr */
extern const struct field_type field_ula;	 /* struct ip_prefix: a /48 within fd00::/8 */
extern const struct field_type field_port;	 /* uint16_t */
extern const struct field_type field_bool;
extern const struct field_type field_count;  /* uint64_t */
extern const struct field_type field_moment; /* uint64_t: a time */
extern const struct field_type field_time;   /* uint64_t: a time; 0 is left out */
extern const struct field_type field_end;    /* uint64_t: a time; RECORD_NEVER is left out */
extern const struct field_type field_hash;   /* uint8_t[SHA256_LEN] */
extern const struct field_type field_machine;
extern const struct field_type field_wg_key;
extern const struct field_type field_scopes;   /* unsigned */
extern const struct field_type field_roles;    /* unsigned */
extern const struct field_type field_strength; /* enum auth_strength */

/* One of these words, by its number. As field_type's read. */
int field_read_word(const json_t *v, const struct json_at *at, const char *const *words, size_t n,
		    unsigned *ret_number, struct json_report *rep);
/* A static field_type of an enum whose values have their names in an array of words. */
#define DEFINE_WORD_FIELD(name, words, enum_type)                                       \
	static int name##_read(const json_t *v, const struct json_at *at, void *target, \
			       struct json_report *rep)                                 \
	{                                                                               \
		unsigned number;                                                        \
		int r = field_read_word(v, at, words, ARRAY_SIZE(words), &number, rep); \
                                                                                        \
		if (r == 0)                                                             \
			*(enum_type *)target = (enum_type)number;                       \
		return r;                                                               \
	}                                                                               \
	static int name##_write(const void *field, json_t **ret_value)                  \
	{                                                                               \
		*ret_value = json_string(words[*(const enum_type *)field]);             \
		return *ret_value ? 0 : -ENOMEM;                                        \
	}                                                                               \
	static const struct field_type name = { name##_read, name##_write }

/* The object of the fields. As field_type's. */
int fields_write(const struct field *fields, size_t n, const void *record, json_t **ret_object);
int fields_read(const json_t *v, const struct json_at *at, const struct field *fields, size_t n,
		void *record, struct json_report *rep);

struct record_kind {
	const char *prefix; /* of the key: "nodes/" */
	const struct field *fields;
	size_t n_fields;
	size_t size;
	const void *defaults; /* a record; NULL: zeros */
	/* What one field cannot show, and that the id (head.id) fits. As json_read_fn. */
	int (*check)(const void *record, struct json_report *rep);
	void (*done)(void *record);
};

int record_read(const struct record_kind *kind, const char *key, const void *json, size_t len,
		char **reterr_text, void *ret_record);
char *record_write(const struct record_kind *kind, const void *record, size_t *ret_len);
/* By way of the JSON: that is where it says what a record holds. Return: 0, -ENOMEM. */
int record_copy(const struct record_kind *kind, const void *record, void *ret_copy);

extern const struct field_type field_facts; /* struct node_facts */

extern const struct record_kind node_record_kind, address_record_kind, user_record_kind,
	authkey_record_kind, apikey_record_kind, pending_record_kind, policy_record_kind,
	policy_current_kind, mesh_record_kind, event_record_kind, idp_record_kind,
	websession_record_kind, pwlink_record_kind, renewal_record_kind;

extern const struct record_kind checkgrant_record_kind, checkreq_record_kind;

/* The functions of model.h for records of a kind, which is NAME_kind. */
#define DEFINE_RECORD(name)                                                                \
	int name##_read(const char *key, const void *json, size_t len, char **reterr_text, \
			struct name *ret)                                                  \
	{                                                                                  \
		return record_read(&name##_kind, key, json, len, reterr_text, ret);        \
	}                                                                                  \
	char *name##_write(const struct name *record, size_t *ret_len)                     \
	{                                                                                  \
		return record_write(&name##_kind, record, ret_len);                        \
	}                                                                                  \
	void name##_done(struct name *record)                                              \
	{                                                                                  \
		name##_kind.done(record);                                                  \
	}                                                                                  \
	struct record_semicolon_
#define DEFINE_RECORD_COPY(name)                                          \
	int name##_copy(const struct name *record, struct name *ret_copy) \
	{                                                                 \
		return record_copy(&name##_kind, record, ret_copy);       \
	}                                                                 \
	struct record_semicolon_

/* SHA-256 in base64url: of a secret, or of what is too long for a key. */
bool record_is_hash(const char *id);
/* LETTER and 12 of a-z 2-7. */
bool record_is_id(const char *id, char letter);
