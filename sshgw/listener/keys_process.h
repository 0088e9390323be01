/* The keys process (sshgw/keys/keys.h) as the listener has it: started, and told of each monitor.
 */
#pragma once

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

struct keys_process;

/*
 * exe_fd stays the caller's, and open for as long. The caller reaps its children, this one too.
 * Return: 0, negative errno (logged).
 */
int keys_process_new(sd_event *event, int exe_fd, struct keys_process **ret_keys);
/* The process lives on until its last monitor is gone. */
struct keys_process *keys_process_free(struct keys_process *keys);
DEFINE_CLEANUP(struct keys_process *, keys_process_free);

/* Of the one that was started last. */
pid_t keys_process_pid(const struct keys_process *keys);

/*
 * A monitor's end of a channel to it; one that had ended is started anew.
 * Return: 0 and *ret_fd (the caller's); negative errno.
 */
int keys_process_open(struct keys_process *keys, int *ret_fd);
