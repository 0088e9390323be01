/*
 * Would ending an SSH connection cut off the very session that agentctl is called in?
 *
 * The environment is not enough to tell: sudo drops it, and a program that has been left running
 * keeps one that is not true any more. What counts is what the gateway kills, the control group of
 * the login, and through which connection somebody is looking at this. When in doubt: perhaps.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/ip.h"

#define RISK_MAX_PIDS	   4096u
#define RISK_MAX_ADDRESSES 64u

/* What is known of the place that we are called in: plain data. */
struct risk_scene {
	pid_t pids[RISK_MAX_PIDS]; /* our ancestors, and the parents of all in our login's group */
	size_t n_pids;
	struct ip_addr addresses[RISK_MAX_ADDRESSES]; /* where SSH connections above us come from */
	size_t n_addresses;
	bool blind; /* something could not be read, or was too much */
};

/* Where to look: "/proc" and "/sys/fs/cgroup", but for tests. */
struct risk_places {
	const char *proc, *cgroup;
};

/* Look around from this process. What cannot be read makes the scene blind. */
void risk_scene_read(const struct risk_places *places, pid_t pid, struct risk_scene *ret_scene);
/* The same of this process as it is, with where logind says it was logged in from. */
void risk_scene_here(struct risk_scene *ret_scene);
/* Note that an SSH connection above us comes from this address; others are ignored. */
void risk_scene_add_address(struct risk_scene *scene, const char *text);

enum risk {
	RISK_NONE,
	RISK_PERHAPS, /* it comes from the device that we are called from; or who knows */
	RISK_CERTAIN,
};
/* session: one of sessions, of ListSessions. Pure. */
enum risk risk_judge(const struct risk_scene *scene, const json_t *sessions, const json_t *session);

/*
 * Ask on a terminal (fd for the answer, out for the question). Return: CLI_OK: go on; CLI_NO: it
 * was declined, or there is no terminal to ask on, which is told on stderr.
 */
int risk_ask(enum risk risk, int fd, FILE *out);

struct ctl;
/*
 * Ask, if need be, before something that ends every SSH connection through the mesh. Return:
 * CLI_OK: go on; exit status.
 */
int risk_ask_all(struct ctl *ctl);
