/*
 * How a connection ends, and what is left of it. The ways differ in who is told and who is killed:
 * say which, do not leave it to be guessed from the state.
 */
#pragma once

struct monitor;

enum mon_end {
	MON_END_REFUSED, /* the client was told in its own protocol, and leaves by itself */
	MON_END_GONE,	 /* it left, or the session did: programs that go on may */
	MON_END_ASKED,	 /* we close it, with a notice: programs that go on may */
	MON_END_KILLED,	 /* the right is gone, or somebody broke the protocol: nothing goes on */
};

/*
 * End the connection. notice (may be NULL) is shown to the person. What goes on after GONE and
 * ASKED keeps the lease, and this process to hold it: MON_LEFT. A second call only makes it
 * harsher.
 */
void mon_end(struct monitor *m, enum mon_end how, const char *notice, const char *why);

/*
 * The leader opened the session before it read that it is to close it, or may have done so: only
 * now can be known where the login's processes are.
 */
void mon_end_opened(struct monitor *m);

/* A child was reaped; ends the loop when nothing is left to wait for. */
void mon_end_child_gone(struct monitor *m);

/* We cannot go on, and so nothing may that needs us. */
void mon_end_now(struct monitor *m);

/* Its timer, and the signal that says that the host shuts down. Return: 0, negative errno. */
int mon_end_init(struct monitor *m);
