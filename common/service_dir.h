/* Directories that systemd makes for a service (StateDirectory=, RuntimeDirectory=). */
#pragma once

/*
 * The first one that $variable names ("STATE_DIRECTORY", "RUNTIME_DIRECTORY": systemd.exec(5), ':'
 * between several); fallback if there is none. Return: the caller's to free; NULL: no memory.
 */
char *service_dir(const char *variable, const char *fallback);
