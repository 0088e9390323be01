/*
 * One request, and as long as a person is waited for, one long poll after the other, by the id that
 * the first was answered with: it outlives restarts of the coordinator.
 */
#include <errno.h>
#include <string.h>

#include "agent/link/backoff.h"
#include "agent/link/check.h"
#include "agent/link/link_internal.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"

/* The coordinator holds it for up to 55 s. */
#define WAIT_USEC (75 * USEC_PER_SEC)
/* An answer that is here before that was not held; the next question has to wait a little. */
#define HELD_USEC (2 * USEC_PER_SEC)
/* A person sits before it: pauses between attempts do not grow beyond 4 s. */
#define MAX_FAILURES 4u

struct link_check {
	struct link_check *next, **at;
	struct link *link; /* NULL: it is gone */
	const struct link_check_events *events;
	void *userdata;
	json_t *question;
	struct link_ask *ask;
	sd_event_source *timer;		    /* the next attempt, or the end */
	struct link_approval person;	    /* id NULL: not known whether one is needed */
	uint64_t deadline_usec, asked_usec; /* CLOCK_MONOTONIC */
	unsigned failures;
};

/* ---- its end ---- */

static void take_out(struct link_check *check)
{
	if (!check->at)
		return;
	*check->at = check->next;
	if (check->next)
		check->next->at = check->at;
	check->at = NULL;
	check->link->n_checks--;
}

struct link_check *link_check_cancel(struct link_check *check)
{
	if (!check)
		return NULL;
	take_out(check);
	link_ask_cancel(check->ask);
	sd_event_source_disable_unref(check->timer);
	json_decref(check->question);
	link_approval_done(&check->person);
	free(check);
	return NULL;
}

void link_checks_close(struct link *link)
{
	while (link->checks) {
		struct link_check *check = link->checks;

		check->ask = link_ask_cancel(check->ask);
		check->timer = sd_event_source_disable_unref(check->timer);
		take_out(check);
		check->link = NULL;
	}
}

static void end(struct link_check *check, struct link_check_result result)
{
	const struct link_check_events *events = check->events;
	void *userdata = check->userdata;

	take_out(check);
	events->over(&result, userdata);
	link_check_cancel(check);
}

static void give_up(struct link_check *check)
{
	end(check, (struct link_check_result){ .end = check->person.id ? LINK_CHECK_RAN_OUT
								       : LINK_CHECK_UNREACHABLE });
}

/* ---- answers ---- */

static uint64_t now_usec(void)
{
	return clock_usec(CLOCK_MONOTONIC);
}

/* pause_usec: from now; the deadline ends it. */
static void try_later(struct link_check *check, uint64_t pause_usec)
{
	uint64_t now = now_usec();
	uint64_t left = check->deadline_usec > now ? check->deadline_usec - now : 0;

	link_arm(check->timer, pause_usec < left ? pause_usec : left);
}

static void take_passed(struct link_check *check, const json_t *body)
{
	const char *at = json_string_value(json_object_get(body, "checked_at"));
	const char *method = json_string_value(json_object_get(body, "method"));
	_cleanup_free_ char *shown = method ? text_sanitize(method, 64) : NULL;
	struct link_check_result result = { .end = LINK_CHECK_PASSED, .method = shown };

	if (at && parse_rfc3339(at, &result.checked_usec) < 0)
		result.checked_usec = 0;
	end(check, result);
}

static bool same_place(const struct link_approval *a, const struct link_approval *b)
{
	return a->id && strcmp(a->url, b->url) == 0 && strcmp(a->code, b->code) == 0;
}

static void take_waiting(struct link_check *check, const json_t *body)
{
	bool held = check->person.id && now_usec() - check->asked_usec >= HELD_USEC;
	bool first = !check->person.id, same;
	_cleanup_free_ char *error = NULL;
	struct link_approval person = { 0 };

	if (link_approval_read(body, &person, &error) < 0 || !person.url) {
		link_approval_done(&person);
		end(check, (struct link_check_result){ .end = LINK_CHECK_REFUSED,
						       .message = error ? error : "no url" });
		return;
	}
	same = same_place(&check->person, &person);
	link_approval_done(&check->person);
	check->person = person;
	check->failures = 0;
	if (first)
		check->deadline_usec = now_usec() + LINK_CHECK_LONGEST_USEC;
	try_later(check, first || held ? 0 : HELD_USEC);
	if (!same)
		check->events->waiting(check->person.url, check->person.code, check->userdata);
}

static void take_no(struct link_check *check, const struct link_verdict *verdict)
{
	struct link_check_result result = { .end = LINK_CHECK_REFUSED,
					    .message = verdict->message };

	if (strcmp(verdict->code, "denied") == 0)
		result.end = LINK_CHECK_DENIED;
	else if (check->person.id && verdict->status == 404)
		result.end = LINK_CHECK_RAN_OUT;
	end(check, result);
}

/*
 * While a person is waited for, a coordinator that is away may come back. Before that, somebody
 * sits there without a word: only if there is good reason for hope is it tried again.
 */
static void take_failure(struct link_check *check, uint64_t retry_after_usec)
{
	bool connected = check->link->machine.stream == LINK_STREAM_OPEN;

	if (!check->person.id && !connected) {
		give_up(check);
		return;
	}
	if (check->failures < MAX_FAILURES)
		check->failures++;
	try_later(check, link_backoff(check->failures, retry_after_usec, now_usec()));
}

static void on_answer(const struct link_verdict *verdict, void *userdata)
{
	struct link_check *check = userdata;

	check->ask = NULL;
	switch (verdict->kind) {
	case LINK_ANSWER_GOOD:
		if (verdict->status == 202)
			take_waiting(check, verdict->body);
		else
			take_passed(check, verdict->body);
		break;
	case LINK_ANSWER_NO:
		take_no(check, verdict);
		break;
	case LINK_ANSWER_AGAIN:
	case LINK_ANSWER_LATER:
		/* Too many: later is too late for who sits there. */
		if (verdict->status == 429 && !check->person.id)
			take_no(check, verdict);
		else
			take_failure(check, verdict->retry_after_usec);
		break;
	}
}

/* ---- requests ---- */

static void attempt(struct link_check *check)
{
	uint64_t left = check->deadline_usec - now_usec();
	json_auto_t *body = check->person.id ? json_pack("{s:s}", "id", check->person.id)
					     : json_incref(check->question);

	check->asked_usec = now_usec();
	if (link_request_for(check->link,
			     (struct link_ask_config){
				     .path = check->person.id ? "/v1/check/wait" : "/v1/check",
				     .body = body,
				     .timeout_usec = left < WAIT_USEC ? left : WAIT_USEC,
				     .on_done = on_answer,
				     .userdata = check,
			     },
			     &check->ask) < 0)
		take_failure(check, 0);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct link_check *check = userdata;

	if (now_usec() >= check->deadline_usec)
		give_up(check);
	else
		attempt(check);
	return 0;
}

static int open_check(struct link *link, struct link_check *check)
{
	int r;

	r = sd_event_add_time_relative(link->event, &check->timer, CLOCK_MONOTONIC, 0, 1, on_timer,
				       check);
	if (r < 0)
		return r;
	check->link = link;
	check->deadline_usec = now_usec() + LINK_CHECK_ANSWER_USEC;
	check->next = link->checks;
	check->at = &link->checks;
	if (check->next)
		check->next->at = &check->next;
	link->checks = check;
	link->n_checks++;
	return 0;
}

int link_check(struct link *link, const struct link_check_question *question,
	       const struct link_check_events *events, void *userdata,
	       struct link_check **ret_check)
{
	_cleanup_(link_check_cancelp) struct link_check *check = NULL;
	int r;

	if (!link_store_is_member(&link->store) || !link->store.have_key)
		return -ENOTCONN;
	if (link->n_checks >= LINK_MAX_CHECKS)
		return -ENOSPC;
	check = calloc(1, sizeof(*check));
	if (!check)
		return -ENOMEM;
	check->events = events;
	check->userdata = userdata;
	check->question = json_pack("{s:s*, s:s*, s:s*}", "source", question->source, "target",
				    question->target, "ssh_user", question->ssh_user);
	if (!check->question)
		return -ENOMEM;
	r = open_check(link, check);
	if (r < 0)
		return r;
	*ret_check = take_ptr(check);
	return 0;
}
