/*
 * What the coordinator remembers, as plain records: a struct for each kind of entry in the store,
 * its JSON, and its bounds. Pure: no I/O, no clock.
 *
 * The store is the coordinator's own, but a backup that is restored may be anybody's work: reading
 * checks everything that writing promises. Times are microseconds since 1970.
 *
 * Of each kind:
 *	X_record_read()	 JSON -> *ret, whose owner calls X_record_done(). Return: 0; -EINVAL and
 *			 *reterr_text (the caller's: "nodes/n1: name: ..."); -ENOMEM. *ret is
 *			 untouched on failure. key is that of the entry; it has to be the record's.
 *	X_record_write() the reverse. Return: the caller's to free, NUL-terminated; NULL when out
 *			 of memory.
 *	X_record_done()	 frees what the record holds. Zeroed records are fine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ed25519.h"
#include "common/ip.h"
#include "common/sha256.h"
#include "common/wgkey.h"

#define RECORD_NEVER UINT64_MAX /* a time that does not come */
/* The last second with a year of four digits: all others would be shown wrongly. */
#define RECORD_LAST_TIME (UINT64_C(253402300799) * 1000000)
/* Beyond the last time: never. */
uint64_t time_after(uint64_t start, uint64_t usec);

#define RECORD_MAX_TAGS	      16u
#define RECORD_MAX_TAG	      64u  /* bytes, "tag:" included */
#define RECORD_MAX_LOGIN      128u /* bytes */
#define RECORD_MAX_TEXT	      256u /* bytes of names of people and hosts, descriptions, "os", ... */
#define RECORD_MAX_HOST_KEYS  8u
#define RECORD_MAX_ENDPOINTS  16u /* of each kind */
#define RECORD_MAX_DETAILS    1024u
#define RECORD_MAX_IDENTITIES 8u
#define RECORD_MAX_GROUPS     256u /* of a provider's claim, each of up to RECORD_MAX_TEXT bytes */
#define RECORD_MAX_CRYPT      383u /* bytes of a password's hash */
#define RECORD_MAX_SEALED     16384u	   /* characters of a provider's token, sealed */
#define RECORD_MAX_POLICY     (512u << 10) /* bytes of a policy's text */

/* What all records begin with. */
struct record_head {
	char *id;	   /* see each record; the key in the store is PREFIX/id */
	uint64_t revision; /* of the entry; 0: not from the store. Not part of the JSON */
};

struct text_list {
	char **items;
	size_t n;
};
void text_list_done(struct text_list *list);
/* Return: 0, -ENOMEM (*ret_copy untouched). */
int text_list_copy(const struct text_list *list, struct text_list *ret_copy);
bool text_list_equal(const struct text_list *a, const struct text_list *b);
bool text_list_has(const struct text_list *list, const char *text);
/* Sorted, each once. */
void text_list_sort(struct text_list *list);

struct endpoint_list {
	struct ip_endpoint *items;
	size_t n;
};

/* ---------------------------------------------------------------------- node */

/* What a node says of itself, and where it was seen. */
struct node_facts {
	char *hostname;			/* as the host calls itself; may be NULL, as the next two */
	char *os;			/* "Debian GNU/Linux 12" */
	char *agent;			/* version */
	bool ssh;			/* wants to take SSH logins */
	struct text_list ssh_host_keys; /* "TYPE BASE64" (common/host_key.h) */
	struct endpoint_list endpoints; /* its own addresses with the port */
	struct endpoint_list configured; /* what its operator says it is reached at */
	uint16_t listen_port;		 /* 0: not known */
	struct ip_addr seen; /* that its requests came from; AF_UNSPEC: not known, or of no use */
};
/* What a node says of itself, in the order above: which of them. seen is not its to say. */
enum {
	FACT_HOSTNAME = 1 << 0,
	FACT_OS = 1 << 1,
	FACT_AGENT = 1 << 2,
	FACT_SSH = 1 << 3,
	FACT_SSH_HOST_KEYS = 1 << 4,
	FACT_ENDPOINTS = 1 << 5,
	FACT_CONFIGURED = 1 << 6,
	FACT_LISTEN_PORT = 1 << 7,
	FACT_ALL = (1 << 8) - 1,
};
void node_facts_done(struct node_facts *facts);
/* Return: 0, -ENOMEM (*ret_copy untouched). */
int node_facts_copy(const struct node_facts *facts, struct node_facts *ret_copy);
bool node_facts_equal(const struct node_facts *a, const struct node_facts *b);
/*
 * Within the bounds above, every text and key as it may be handed on? Return: 0; -EINVAL and
 * *reterr_text (the caller's); -ENOMEM.
 */
int node_facts_check(const struct node_facts *facts, char **reterr_text);
/* It was seen, at none of its own addresses. */
bool node_facts_behind_nat(const struct node_facts *facts);

/* nodes/ID */
struct node_record {
	struct record_head head; /* id: "n" and 12 of a-z 2-7; stays for the life of the node */
	struct ed25519_public machine;
	struct wg_key key;
	char *name;	       /* a DNS label, of this node alone */
	struct ip_addr ipv4;   /* of this node alone; the IPv6 one follows from it */
	char *user;	       /* login; NULL: tagged */
	struct text_list tags; /* sorted; not empty exactly if there is no user */
	uint64_t created;
	uint64_t key_created;
	uint64_t key_expiry; /* RECORD_NEVER */
	char *expired_by; /* who ended the key's validity, "time" if it ran out; NULL: is valid */
	bool ephemeral;	  /* deleted when it has been gone for long */
	char *auth_key;	  /* id of the one it came with; NULL: somebody approved it */
	struct node_facts facts;
};
int node_record_read(const char *key, const void *json, size_t len, char **reterr_text,
		     struct node_record *ret);
char *node_record_write(const struct node_record *node, size_t *ret_len);
void node_record_done(struct node_record *node);
/* Return: 0, -ENOMEM (*ret_copy untouched). */
int node_record_copy(const struct node_record *node, struct node_record *ret_copy);
/* The key is not valid any more (at that time): nobody may see the node. */
bool node_is_expired(const struct node_record *node, uint64_t now);

/* ip4/ADDRESS: whose it is, or since when it is not any more. */
struct address_record {
	struct record_head head; /* id: the address */
	char *node;		 /* id; NULL: released */
	uint64_t released;	 /* may be given away again some time after */
	/* Of the node that had it: its name is kept back as long, for whose it was. NULL: of none.
	 */
	char *name, *user;
	struct text_list tags;
};
int address_record_read(const char *key, const void *json, size_t len, char **reterr_text,
			struct address_record *ret);
char *address_record_write(const struct address_record *address, size_t *ret_len);
void address_record_done(struct address_record *address);

/* --------------------------------------------------------------------- users */

/* Who somebody is for a provider (OpenID Connect): never the address for mail, which changes. */
struct identity {
	char *issuer, *subject;
	struct text_list groups; /* sorted; as the provider said at the last sign-in */
};
struct identity_list {
	struct identity *items;
	size_t n;
};

/* users/LOGIN */
struct user_record {
	struct record_head head; /* id: login, "alice@example.com" */
	char *name;		 /* may be NULL */
	unsigned roles;		 /* enum policy_role (coord/policy/policy.h) */
	uint64_t created;
	uint64_t suspended; /* since when; 0: is not. May not sign in, and has no valid keys */
	/* Why they are: the provider of this issuer knows them no more. NULL: an operator said so
	 */
	char *gone_from;
	struct identity_list identities;
	char *password;	       /* crypt(5); NULL: signs in elsewhere, or not at all */
	uint64_t password_set; /* when; 0: never. Older links to set it are void */
	char *totp;	       /* base32 of 20 bytes; NULL: a password is enough */
	uint64_t totp_step;    /* of the last code that was used: older ones are void */
	uint64_t last_sign_in; /* 0: not yet */
	/*
	 * The last time that all sign-ins were ended: "everywhere" was asked for, or the person was
	 * suspended, or got another password. What began before or then is void. 0: never.
	 */
	uint64_t signed_out;
};
int user_record_read(const char *key, const void *json, size_t len, char **reterr_text,
		     struct user_record *ret);
char *user_record_write(const struct user_record *user, size_t *ret_len);
void user_record_done(struct user_record *user);
int user_record_copy(const struct user_record *user, struct user_record *ret_copy);
/* The identity, if it is theirs; else NULL. Borrowed. */
const struct identity *user_identity(const struct user_record *user, const char *issuer,
				     const char *subject);

/* idp/SHA256(issuer NUL subject): whose it is. The user's record says so, too. */
struct idp_record {
	struct record_head head; /* id: the hash, in base64url */
	char *user;		 /* login */
};
int idp_record_read(const char *key, const void *json, size_t len, char **reterr_text,
		    struct idp_record *ret);
char *idp_record_write(const struct idp_record *idp, size_t *ret_len);
void idp_record_done(struct idp_record *idp);

/* renewals/SHA256(issuer NUL subject): by what it shows that the provider knows them still. */
struct renewal_record {
	struct record_head head; /* id: the hash, in base64url */
	char *user;		 /* login */
	char *provider;		 /* NAME of "oidc:NAME" */
	char *issuer, *subject;
	char *sealed; /* its refresh token, which only coord/renewal can read */
	uint64_t created;
	uint64_t confirmed; /* when the provider last took it */
	bool changes;	    /* it gives another one each time, and the old one is void then */
	bool asked;	    /* such a one was handed in, and nothing is known of an answer */
};
int renewal_record_read(const char *key, const void *json, size_t len, char **reterr_text,
			struct renewal_record *ret);
char *renewal_record_write(const struct renewal_record *renewal, size_t *ret_len);
void renewal_record_done(struct renewal_record *renewal);

/* How sure it is that a person was there, when they signed in. */
enum auth_strength {
	AUTH_NONE,	  /* the provider may have let them through by itself */
	AUTH_PROMPT_ONLY, /* it was asked to demand something, and does not say whether it did */
	AUTH_MAX_AGE,	  /* it says when it did; or: they typed their password */
};
/* "none", "prompt_only", "max_age" */
const char *auth_strength_to_string(enum auth_strength strength);
/* Return: 0, -EINVAL. */
int auth_strength_parse(const char *text, enum auth_strength *ret_strength);

/* websessions/SHA256(secret): a browser that somebody has signed in with. */
struct websession_record {
	struct record_head head; /* id: the hash, in base64url */
	char *user;		 /* login */
	uint64_t created;
	uint64_t auth_time; /* when they last showed who they are */
	uint64_t expires;
	char *method; /* "password", "password+totp", "oidc:NAME" */
	enum auth_strength strength;
	struct ip_addr from; /* AF_UNSPEC: not known */
	char *agent;	     /* what the browser calls itself; may be NULL */
};
int websession_record_read(const char *key, const void *json, size_t len, char **reterr_text,
			   struct websession_record *ret);
char *websession_record_write(const struct websession_record *session, size_t *ret_len);
void websession_record_done(struct websession_record *session);

/* pwlinks/SHA256(secret): lets somebody set their password, once. */
struct pwlink_record {
	struct record_head head; /* id: the hash, in base64url */
	char *user;		 /* login */
	char *created_by;
	uint64_t created, expires;
};
int pwlink_record_read(const char *key, const void *json, size_t len, char **reterr_text,
		       struct pwlink_record *ret);
char *pwlink_record_write(const struct pwlink_record *link, size_t *ret_len);
void pwlink_record_done(struct pwlink_record *link);

/* ---------------------------------------------------------------------- keys */

/* authkeys/ID: lets hosts in. */
struct authkey_record {
	struct record_head head; /* id: "k" and 12 of a-z 2-7 */
	uint8_t hash[SHA256_LEN];
	char *user; /* whom its nodes will belong to; NULL: tagged */
	struct text_list tags;
	bool reusable, ephemeral;
	uint64_t created, expires; /* RECORD_NEVER */
	uint64_t used;		   /* how often */
	uint64_t last_used;	   /* 0: never */
	uint64_t revoked;	   /* when; 0: is not */
	char *created_by;
	char *description; /* may be NULL */
};
int authkey_record_read(const char *key, const void *json, size_t len, char **reterr_text,
			struct authkey_record *ret);
char *authkey_record_write(const struct authkey_record *authkey, size_t *ret_len);
void authkey_record_done(struct authkey_record *authkey);
int authkey_record_copy(const struct authkey_record *authkey, struct authkey_record *ret_copy);

/* What an API key may do (PROTOCOL.md, "Admin requests"). */
enum scope {
	SCOPE_USERS_READ = 1 << 0,
	SCOPE_USERS_WRITE = 1 << 1,
	SCOPE_NODES_READ = 1 << 2,
	SCOPE_NODES_WRITE = 1 << 3,
	SCOPE_KEYS_READ = 1 << 4,
	SCOPE_KEYS_WRITE = 1 << 5,
	SCOPE_POLICY_READ = 1 << 6,
	SCOPE_POLICY_WRITE = 1 << 7,
	SCOPE_EVENTS_READ = 1 << 8,
	SCOPE_METRICS_READ = 1 << 9,
};
#define SCOPE_ALL ((1u << 10) - 1)
/* "users:read", ..., "all". Return: 0, -EINVAL. */
int scope_parse(const char *text, unsigned *ret_scopes);
/* The i-th scope's name; NULL: there are no more. "all" is not among them. */
const char *scope_name(unsigned i, unsigned *ret_scope);

/* "owner", "admin", "network-admin", "it-admin", "billing-admin", "auditor". As above. */
int role_parse(const char *text, unsigned *ret_role);
const char *role_name(unsigned i, unsigned *ret_role);

/* apikeys/ID */
struct apikey_record {
	struct record_head head; /* id: "a" and 12 of a-z 2-7 */
	uint8_t hash[SHA256_LEN];
	unsigned scopes;	   /* enum scope */
	uint64_t created, expires; /* RECORD_NEVER */
	uint64_t revoked;	   /* when; 0: is not */
	char *created_by;
	char *description; /* may be NULL */
};
int apikey_record_read(const char *key, const void *json, size_t len, char **reterr_text,
		       struct apikey_record *ret);
char *apikey_record_write(const struct apikey_record *apikey, size_t *ret_len);
void apikey_record_done(struct apikey_record *apikey);
int apikey_record_copy(const struct apikey_record *apikey, struct apikey_record *ret_copy);

/* ------------------------------------------------------------------- pending */

enum pending_state {
	PENDING_WAITING,
	PENDING_APPROVED, /* node says which it became */
	PENDING_REJECTED,
};

/* pending/CODE: a machine that waits for somebody to say yes. */
struct pending_record {
	struct record_head head;  /* id: the code, eight characters, "K7QX2MPV" */
	uint8_t hash[SHA256_LEN]; /* of the id that the machine knows it by */
	char *page; /* id, 26 of a-z 2-7, of the page where a person says yes; NULL: none */
	struct ed25519_public machine;
	struct wg_key key;
	struct text_list tags; /* that it asks for */
	struct node_facts facts;
	struct ip_addr from;
	enum pending_state state;
	char *node; /* id, once approved */
	uint64_t created, expires;
};
int pending_record_read(const char *key, const void *json, size_t len, char **reterr_text,
			struct pending_record *ret);
char *pending_record_write(const struct pending_record *pending, size_t *ret_len);
void pending_record_done(struct pending_record *pending);
int pending_record_copy(const struct pending_record *pending, struct pending_record *ret_copy);

/* -------------------------------------------------------------------- checks */

#define RECORD_CHECK_ID	    26u	 /* of a-z 2-7: 130 bits */
#define RECORD_LOGIN_SUFFIX 2u	 /* of these: number of a login */
#define RECORD_MAX_LOGINS   256u /* that wait for one check */

/* checkgrants/NODE: what is known of the presence of the owner of a source node. */
struct checkgrant_record {
	struct record_head head; /* id: the node's */
	char *user;		 /* its owner then; if that is another now, this is void */
	uint64_t at;	/* when they last approved; 0: not yet, and then the next four too */
	uint64_t order; /* what the revision was; times can be set back */
	char *method;	/* "password", "password+totp", "oidc:NAME" */
	enum auth_strength strength;
	char *from;	/* that they did it from; may be NULL */
	char *request;	/* id of the last one; it may not be there any more. May be NULL */
	uint64_t asked; /* when that was made; 0: never */
};
int checkgrant_record_read(const char *key, const void *json, size_t len, char **reterr_text,
			   struct checkgrant_record *ret);
char *checkgrant_record_write(const struct checkgrant_record *grant, size_t *ret_len);
void checkgrant_record_done(struct checkgrant_record *grant);

enum check_state {
	CHECK_WAITING,
	CHECK_APPROVED,
	CHECK_DENIED,
};
/* "waiting", ... */
const char *check_state_to_string(enum check_state state);

/* A login that waits; concurrent ones of the same target and user are one. */
struct check_login {
	char *target;	/* id of the node; NULL: none in particular */
	char *ssh_user; /* NULL: no login: the person at the source does it beforehand */
	uint64_t asked; /* when it was first asked for */
	uint64_t order; /* what the revision was: approvals of a later one are meant for it */
};

struct check_login_list {
	struct check_login *items;
	size_t n;
};

/* checkreqs/ID: somebody is to show that they are there. */
struct checkreq_record {
	struct record_head head;	/* id: RECORD_CHECK_ID of a-z 2-7 */
	char *code;			/* "123-456" */
	char *user;			/* who is to answer: the owner of: */
	char *node;			/* the id of the source */
	struct check_login_list logins; /* never none; the number of each stays */
	uint64_t created, expires;
	enum check_state state;
	char *by;    /* who answered; NULL: nobody yet */
	uint64_t at; /* when; 0 */
};
int checkreq_record_read(const char *key, const void *json, size_t len, char **reterr_text,
			 struct checkreq_record *ret);
char *checkreq_record_write(const struct checkreq_record *req, size_t *ret_len);
void checkreq_record_done(struct checkreq_record *req);
int checkreq_record_copy(const struct checkreq_record *req, struct checkreq_record *ret_copy);

/* -------------------------------------------------------------------- policy */

/* policy/NNNNNNNNNN: a version, which is never changed. */
struct policy_record {
	struct record_head head;  /* id: the version, ten digits */
	uint64_t version;	  /* from 1 */
	char *text;		  /* NULL in the history that is kept in memory */
	uint8_t hash[SHA256_LEN]; /* of the text */
	char *author;
	uint64_t created;
	char *comment; /* may be NULL */
};
int policy_record_read(const char *key, const void *json, size_t len, char **reterr_text,
		       struct policy_record *ret);
char *policy_record_write(const struct policy_record *policy, size_t *ret_len);
void policy_record_done(struct policy_record *policy);

/* policy/current: the one in force. Absent: the default policy is. */
struct policy_current {
	struct record_head head; /* id: "current" */
	uint64_t version;	 /* 0: the default policy, in memory only */
	char *text;
	uint8_t hash[SHA256_LEN];
	uint64_t confirm_by; /* unless it is confirmed until then, previous comes back; 0: is final
			      */
	uint64_t previous;   /* version; 0: the default policy */
	char *author;
	uint64_t since;
};
int policy_current_read(const char *key, const void *json, size_t len, char **reterr_text,
			struct policy_current *ret);
char *policy_current_write(const struct policy_current *current, size_t *ret_len);
void policy_current_done(struct policy_current *current);

/* ---------------------------------------------------------------------- mesh */

/* meta/mesh */
struct mesh_record {
	struct record_head head; /* id: "mesh" */
	char *domain;		 /* "mesh.example" */
	struct ip_prefix ula;	 /* /48 */
	uint64_t created;
};
int mesh_record_read(const char *key, const void *json, size_t len, char **reterr_text,
		     struct mesh_record *ret);
char *mesh_record_write(const struct mesh_record *mesh, size_t *ret_len);
void mesh_record_done(struct mesh_record *mesh);

/* -------------------------------------------------------------------- events */

/*
 * events/TIME-RANDOM: what happened, by whom, from where. TIME.RANDOM: what machines did, or the
 * coordinator about them by itself. Which it is shows in the key, so that the two can be counted,
 * and dropped, apart.
 */
#define EVENT_TIME_LEN 16u
bool event_is_by_machine(const char *id);
struct event_record {
	struct record_head head; /* id: 16 digits of time, "-", 6 of a-z 2-7 */
	uint64_t time;
	char *actor;   /* "root", "apikey:k...", "node:n...", "coordinator" */
	char *from;    /* address, "unix"; may be NULL */
	char *action;  /* "node.enrol" */
	char *object;  /* what it was done to; may be NULL */
	char *result;  /* "ok", or the code of the refusal */
	char *details; /* for people; may be NULL */
};
int event_record_read(const char *key, const void *json, size_t len, char **reterr_text,
		      struct event_record *ret);
char *event_record_write(const struct event_record *event, size_t *ret_len);
void event_record_done(struct event_record *event);
