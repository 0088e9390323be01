/*
 * Operations: each decides by the state in memory and writes one transaction; when another has been
 * faster it decides anew, by what is known then.
 */
#pragma once

#include "coord/registry/internal.h"
#include "coord/registry/txn.h"

enum {
	OP_ANSWERED = 1, /* op->result says how; nothing is written */
};

/* Embedded at the beginning of the operation's own struct. */
struct op {
	struct registry *registry; /* NULL: it is gone, nobody waits for the answer */
	struct op *next, **self;   /* in its list */
	const struct op_kind *kind;
	registry_done_fn done;
	void *userdata;
	char *who, *from, *login; /* the actor's */
	unsigned scopes;

	unsigned attempts;
	bool is_waiting; /* for the state to show revision awaited */
	bool is_written; /* and that is its own */
	uint64_t awaited;
	bool tell_refusal;		   /* by an event */
	unsigned next_suffix, used_suffix; /* of names: where to look, what was tried */
	char *object;			   /* of that event; may be NULL */
	struct registry_result result;
	char *text; /* of a refusal */
};

struct op_kind {
	const char *action; /* "node.enrol": of its events */
	size_t size;
	bool for_people; /* not for operators and the coordinator alone */
	/*
	 * Decide. Return: 0: *txn is to be written; OP_ANSWERED; -ENOMEM, -EIO. May be called
	 * several times, the last of which counts.
	 */
	int (*prepare)(struct op *op, struct txn *txn);
	/* It is written, and the state shows it: fill in op->result. NULL: nothing to add. */
	void (*complete)(struct op *op);
	/* Free what the operation's own struct holds. NULL: nothing. */
	void (*destroy)(struct op *op);
};

/* Return: the caller's, for op_run() or op_free(); NULL: no memory, and done was told. */
struct op *op_new(struct registry *registry, const struct op_kind *kind,
		  const struct registry_actor *actor, registry_done_fn done, void *userdata);
/* Before op_run() only. */
struct op *op_free(struct op *op);
/* Begins, or begins anew. The operation is answered and freed by itself. */
void op_run(struct op *op);
/* r 0: op_run(); OP_ANSWERED: op_finish(); negative: op_fail(). */
void op_begin(struct op *op, int r);
/* Instead of op_run(): -ENOMEM, ... */
void op_fail(struct op *op, int error);
/* Answer as op->result says, and free. */
void op_finish(struct op *op);

/* Operators may, and people if it is theirs. */
bool op_may_touch(const struct op *op, const struct node_record *node);

/* Return: OP_ANSWERED, or -ENOMEM. */
int op_refuse(struct op *op, enum registry_code code, const char *fmt, ...) _printf_(3, 4);

/* Put an event about object into the transaction. details NULL: none. */
void op_event(struct op *op, struct txn *txn, const char *object, const char *details, ...)
	_printf_(4, 5);
/* The same with another action and result than the operation's own. */
void op_event_result(struct op *op, struct txn *txn, const char *action, const char *object,
		     const char *result, const char *details);

/* The same by itself, of something that was refused; if there were not too many lately. */
void op_tell_refusal(struct registry *registry, const struct registry_actor *actor,
		     const struct registry_event *event);

/* The state has moved on: those that waited for it. */
void ops_wake(struct registry *registry);
/* Answer all of them: the registry ends. */
void ops_abandon(struct registry *registry);
