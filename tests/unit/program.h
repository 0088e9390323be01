/* Other people's servers that tests run beside themselves: proxies. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

bool program_is_installed(const char *name);
/* Of 127.0.0.1, that nobody uses now. */
uint16_t program_free_port(void);
/*
 * In this directory, which is its home; returns when it listens at this port of 127.0.0.1. If it
 * ends instead, or does not come to that, the test fails, with what the program has said. *ret_pid
 * is for program_stop(), also then.
 */
void program_start(const char *dir, const char *const *argv, uint16_t port, pid_t *ret_pid);
/* 0: there is none. */
void program_stop(pid_t pid);
