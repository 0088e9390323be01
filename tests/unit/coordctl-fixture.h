/*
 * coordctl against a real coordinator in another process, on a unix socket and with TLS over the
 * network. The coordinator's time stands still at FIX_START; coordctl lives five minutes later.
 */
#pragma once

#include <sys/types.h>

#include "coord/ctl/ctl.h"

/* Of tests/unit/data/coordctl-online, which coordctl_enter_data() makes the working directory. */
#define POLICY "policy.hujson"

/* How often the coordinator says to whoever follows its events that it is there. */
#define KEEPALIVE_USEC 20000
/* Beside the socket: the certificate, and "TLS-PORT PLAIN-PORT". */
#define CERT  ".cert.pem"
#define PORTS ".ports"

struct server {
	char folder[64], socket[96];
	pid_t pid;
	int keep; /* the coordinator ends when this is closed */
};

/* cmocka: *state is a struct server, whose coordinator has three machines, a login and checks. */
int coordctl_start(void **state);
int coordctl_stop(void **state);
#define COORDCTL_TEST(test) cmocka_unit_test_setup_teardown(test, coordctl_start, coordctl_stop)
/* Of the group. */
int coordctl_enter_data(void **state);
/* What main() does if it is called with "--serve SOCKET": the coordinator is this program, too. */
int coordctl_serve(const char *path);

/* What coordctl said. */
struct run {
	char *out, *err;
	int status;
};
void run_done(struct run *run);

struct ctl ctl_for(const struct server *server);
/* words: of the command line, behind "coordctl"; the last is NULL. */
void run_ctl(struct ctl *ctl, const char *const *words, struct run *run);
void run_coordctl(const struct server *server, const char *const *words, struct run *run);
#define RUN(server, run, ...) run_coordctl((server), (const char *[]){ __VA_ARGS__, NULL }, (run))
