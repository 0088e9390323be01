/* Warnings about what the language accepts silently. */
#pragma once

#include "coord/policy/engine.h"

struct lint {
	struct policy_engine *e;
	struct policy_problems *problems;
	bool no_memory;
};
void lint_warn(struct lint *lint, struct place at, const char *fmt, ...) _printf_(3, 4);

/* lint_shadow.c: rules that say nothing new. */
void lint_shadowed(struct lint *lint);
/* lint_ssh.c */
void lint_ssh_rules(struct lint *lint);
void lint_port_22(struct lint *lint);
