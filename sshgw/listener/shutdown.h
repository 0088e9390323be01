/* peergate-sshgw --shutdown: the host goes down, and whoever is logged in is told before. */
#pragma once

/*
 * Tells every monitor, of whatever build and whichever listener, and waits until connections and
 * logins are closed (5 seconds at most): what is ordered behind this in a shutdown then takes
 * nothing away that they still need. libexec_dir: where the programs are.
 * Return: how many connections were told; negative errno.
 */
int shutdown_run(const char *libexec_dir);
