/*
 * Memory goes back to the system. What many are told at once, and connections that end by the
 * thousand, leave behind as much free memory again as a coordinator needs, in pieces between what
 * is in use, where the C library keeps it.
 */
#pragma once

#include <systemd/sd-event.h>

/* Now and then, for as long as the loop runs. Return: 0 and *ret_source, negative errno. */
int memory_give_back(sd_event *event, sd_event_source **ret_source);
