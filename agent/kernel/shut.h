/* A table at once, before the whole one is made. */
#pragma once

#include "agent/kernel/plan.h"
#include "agent/kernel/state.h"

/*
 * If no table of ours is in force, put one there that lets nothing in: it has the plan's addresses,
 * and whether SSH is diverted, but neither peers nor rights. (Of the plan nothing else is looked
 * at.) The link stays as it is.
 * Return: 0 also if there was one; negative errno, and *reterr_text (the caller's) where
 * there is more to say.
 */
int kernel_shut_table(struct kernel *kernel, const struct kernel_plan *plan, char **reterr_text);
