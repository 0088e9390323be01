/* SSH host keys as lines of text: what may go into a known_hosts file. */
#pragma once

/* Longest line that is accepted: an RSA key of 16384 bits has 2800 bytes. */
#define HOST_KEY_MAX 4096u

/*
 * Exactly "TYPE BASE64", one blank, nothing else: TYPE one of ssh-ed25519,
 * ecdsa-sha2-nistp256/384/521 and ssh-rsa, the base64 canonical, the key inside well-formed and of
 * the same type (RFC 4253 6.6, 5656 3.1, 8709 4).
 * Return: 0; -EINVAL and a static text in *ret_problem; -ENOMEM.
 */
int host_key_check(const char *line, const char **ret_problem);
