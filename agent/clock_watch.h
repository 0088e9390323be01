/* Being told when somebody sets the wall clock (a step; an adjustment of its speed is none). */
#pragma once

#include <stdbool.h>

/* A descriptor that polls as readable after the clock was set. Return: fd, negative errno. */
int clock_watch_open(void);
/* Whether it was since it was last asked. */
bool clock_watch_ask(int fd);
