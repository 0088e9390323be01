/* MaxMapAge=: a map of the coordinator's that nothing was heard of for too long ends. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "agent/agent_internal.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"

/* How often it is noted for the next start; what comes in between is lost, to the safe side. */
#define NOTE_USEC     (60 * USEC_PER_SEC)
#define NOTES_PER_AGE 8u
#define MAX_NOTE      64u

static uint64_t left(const struct agent *agent)
{
	return map_age_left(&agent->map_age, clock_usec(CLOCK_BOOTTIME),
			    clock_usec(CLOCK_REALTIME));
}

static char *too_old_text(const struct agent *agent, const char *source)
{
	return text_printf("nothing was heard from %s for longer than the %llu s that MaxMapAge= "
			   "allows; until the coordinator is reached again nobody gets in",
			   source, agent->map_age.max_usec / USEC_PER_SEC);
}

static void end_map(struct agent *agent)
{
	char *text = too_old_text(agent, agent->map_source);

	log_error("The map is too old: %s", text ? text : strerror(ENOMEM));
	agent_drop_map(agent);
	agent_set_problem(&agent->map_problem, text ? text : strdup("no memory"));
	agent_publish_status(agent);
}

static bool has_limit(const struct agent *agent)
{
	return agent->link && agent->map_age.max_usec > 0;
}

void agent_judge_age(struct agent *agent)
{
	uint64_t rest;
	int r;

	if (!has_limit(agent) || !agent->map)
		return;
	rest = left(agent);
	if (rest == 0)
		return end_map(agent);
	r = sd_event_source_set_time_relative(agent->age_timer, rest);
	if (r >= 0)
		r = sd_event_source_set_enabled(agent->age_timer, SD_EVENT_ONESHOT);
	if (r < 0)
		log_error_errno(r, "Could not set the timer for the age of the map");
}

static int on_age_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	agent_judge_age(userdata);
	return 0;
}

/* Waits for no disk: revocations go the same way. */
static void note(struct agent *agent)
{
	char text[32];
	int r;

	format_rfc3339(clock_usec(CLOCK_REALTIME), text, sizeof(text));
	r = file_replace(state_dir_fd(agent->state), STATE_CONFIRMED_FILE, text, strlen(text),
			 0600);
	if (r < 0)
		log_warning_errno(r, "Could not note when the map was confirmed, continuing");
}

void agent_confirm_map(struct agent *agent)
{
	uint64_t now = clock_usec(CLOCK_BOOTTIME), pause = agent->map_age.max_usec / NOTES_PER_AGE;

	if (!has_limit(agent))
		return;
	agent->map_age.heard_usec = now;
	agent_judge_age(agent);
	if (now < agent->note_age_usec)
		return;
	agent->note_age_usec = now + (pause < NOTE_USEC ? pause : NOTE_USEC);
	note(agent);
}

static uint64_t recall(const struct agent *agent)
{
	_cleanup_free_ char *text = NULL;
	uint64_t usec;
	size_t len;

	if (file_read(state_dir_fd(agent->state), STATE_CONFIRMED_FILE, MAX_NOTE, &text, &len) <
		    0 ||
	    parse_rfc3339(text, &usec) < 0)
		return 0;
	return usec;
}

int agent_check_kept_age(struct agent *agent, const struct netmap *map, const char *source,
			 char **reterr_text)
{
	struct map_age *age = &agent->map_age;

	if (!has_limit(agent))
		return 0;
	/* The note may be of an older map. */
	age->kept_usec = recall(agent);
	if (age->kept_usec < map->issued_at)
		age->kept_usec = map->issued_at;
	if (left(agent) > 0)
		return 0;
	*reterr_text = too_old_text(agent, source);
	return *reterr_text ? -ESTALE : -ENOMEM;
}

int agent_age_open(struct agent *agent)
{
	int r = sd_event_add_time(agent->event, &agent->age_timer, CLOCK_BOOTTIME, 0,
				  USEC_PER_SEC / 10, on_age_timer, agent);

	agent->map_age.max_usec = agent->config->max_map_age_usec;
	if (r >= 0)
		r = sd_event_source_set_enabled(agent->age_timer, SD_EVENT_OFF);
	/* It takes away rights. */
	if (r >= 0)
		r = sd_event_source_set_priority(agent->age_timer, SD_EVENT_PRIORITY_IMPORTANT);
	return r;
}
