/* agentctl netmap: verbs about maps. */
#pragma once

int verb_netmap_check(int argc, char **argv, void *userdata);
