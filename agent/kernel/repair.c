#include "agent/kernel/repair.h"

#include <string.h>

#include "common/log.h"
#include "common/text.h"

#define NEWS_MAX 500 /* bytes, more or less */

static void set_news(struct repair *repair, char *news)
{
	free(repair->news);
	repair->news = news;
}

bool repair_note(struct repair *repair, const char *what)
{
	const char *news = repair->news;

	if (!news)
		set_news(repair, strdup(what));
	else if (!strstr(news, what) && strlen(news) < NEWS_MAX)
		set_news(repair, text_printf("%s; %s", news, what));
	/* The kernel tells in time of changes to the table, and those are never ours. */
	if (repair->applying) {
		repair->pure = true;
		return false;
	}
	repair->waiting = true;
	if (repair->due)
		return false;
	repair->due = true;
	return true;
}

void repair_begin(struct repair *repair, bool for_news)
{
	repair->applying = true;
	repair->pure = for_news && repair->waiting;
	/* It sees what was told so far; what comes from here on asks for another. */
	repair->due = false;
	if (for_news)
		repair->waiting = false;
}

static bool changed(const struct kernel_changes *changes)
{
	static const struct kernel_changes none;

	return memcmp(changes, &none, sizeof(none)) != 0;
}

bool repair_succeeded(struct repair *repair, const struct kernel_changes *changes, bool retried)
{
	bool done = !retried && changed(changes);

	repair->applying = false;
	if (!repair->news || !(repair->pure || retried))
		return false;
	if (done)
		log_warning("Put right what others changed: %s", repair->news);
	else
		log_debug("Nothing was wrong: %s", repair->news);
	repair_clear(repair);
	return done;
}

void repair_failed(struct repair *repair, bool told)
{
	repair->applying = repair->due = repair->waiting = false;
	if (repair->news && told)
		log_warning("It may come of this: %s", repair->news);
	repair_clear(repair);
}

void repair_clear(struct repair *repair)
{
	set_news(repair, NULL);
}
