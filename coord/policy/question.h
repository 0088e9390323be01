/* A question about a policy, as people ask it: "does desk reach web:443", "root@web". */
#pragma once

#include <jansson.h>

#include "coord/policy/policy.h"

struct policy_question {
	char *src, *dst;
	char *login;	  /* NULL: about packets, not a login */
	uint16_t port;	  /* 0: any */
	uint8_t proto;	  /* 0: tcp */
	char *proto_name; /* as asked; NULL: tcp */
	bool portless;	  /* the protocol has no ports */
};
void policy_question_done(struct policy_question *question);

/*
 * dst: "NODE", "NODE:PORT", "NODE:*", "LOGIN@NODE"; a user's name is one, though it has an '@'.
 * proto: a name or a number; NULL: tcp. Return: 0; -EINVAL and *reterr_text (the caller's);
 * -ENOMEM. *ret_question is untouched on failure.
 */
int policy_question_parse(const struct policy_network *network, const char *src, const char *dst,
			  const char *proto, char **reterr_text,
			  struct policy_question *ret_question);

enum policy_answer {
	POLICY_ANSWER_NO,
	POLICY_ANSWER_PARTLY, /* for some of the nodes */
	POLICY_ANSWER_YES,
};

struct policy_answers {
	struct policy_explanation *network, *ssh; /* ssh: NULL unless about a login */
};
void policy_answers_done(struct policy_answers *answers);

/* Return: 0; -EINVAL and *reterr_text: src or dst means nothing, ...; -ENOMEM. */
int policy_ask(struct policy_engine *engine, const struct policy_question *question,
	       char **reterr_text, struct policy_answers *ret_answers);
enum policy_answer policy_answer_of(const struct policy_explanation *explanation);
/* A login takes both: packets that get through and a rule for it. */
enum policy_answer policy_answer_of_all(const struct policy_answers *answers);

/* Question and answers: {"answer","src","dst",...}. NULL: out of memory. */
json_t *policy_answers_json(const struct policy_question *question,
			    const struct policy_answers *answers);
/* The reverse. Return: 0, -EINVAL, -ENOMEM. */
int policy_answers_from_json(const json_t *json, struct policy_question *ret_question,
			     struct policy_answers *ret_answers);
