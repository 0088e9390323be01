/* Who goes first when there is more to do than processors to do it. */
#pragma once

/*
 * Give this process precedence over what it starts, among the processes of its session (nice(2))
 * and, where the kernel groups them by session, among sessions (sched(7), autogroup). A child gets
 * back to where its parent was with nice() and setsid(). Without the right to it, nothing happens.
 * Return: by how much niceness is lower now; 0: not at all.
 */
int priority_raise(void);

/*
 * The gateway is protected from being killed for want of memory (OOMScoreAdjust= of its unit),
 * since what it started would go on without it. This process is not, nor are those that it starts.
 * Return: 0, negative errno.
 */
int priority_reset_oom(void);
