#include "tests/unit/foreign.h"

#include <stdio.h>

void note_foreign(void *userdata, const char *what)
{
	struct foreign *foreign = userdata;

	foreign->n++;
	snprintf(foreign->what, sizeof(foreign->what), "%s", what);
}

void settle(sd_event *event)
{
	while (sd_event_run(event, 100000) > 0)
		;
}
