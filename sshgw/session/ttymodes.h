/* Terminal modes as SSH encodes them (RFC 4254 section 8), applied to a struct termios. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <termios.h>

/*
 * Change tio as the modes ask. Opcodes that are unknown here, or unknown to Linux, are skipped;
 * reading ends at TTY_OP_END, at an opcode of 160 or more (whose length nobody knows), and where
 * the bytes end in the middle of a mode.
 */
void ttymodes_apply(const uint8_t *modes, size_t len, struct termios *tio);
