/* Other people's servers that tests run beside themselves: proxies. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

bool program_is_installed(const char *name);
/* Of 127.0.0.1, that nobody uses now. */
uint16_t program_free_port(void);
/* In this directory, which is its home, without output. Return: its process. */
pid_t program_start(const char *dir, const char *const *argv);
/* Does it listen at this port of 127.0.0.1 by now? Ends the test if it has ended itself. */
bool program_listens(pid_t pid, uint16_t port);
/* 0: there is none. */
void program_stop(pid_t pid);
