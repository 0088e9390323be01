/* agentctl doctor: what is wrong on this host, and what to do about it. */
#pragma once

int verb_doctor(int argc, char **argv, void *userdata);
