/* What a watch tells of changes by others. */
#pragma once

#include <systemd/sd-event.h>

struct foreign {
	int n;
	char what[160]; /* the last */
};

/* userdata: struct foreign */
void note_foreign(void *userdata, const char *what);
/* Until nothing has happened for a tenth of a second. */
void settle(sd_event *event);
