/* Certificates for servers of tests: signed by themselves, good for an hour. */
#pragma once

/*
 * Make a key, and a certificate for it with this common name, valid for these hosts
 * ("DNS:localhost,IP:127.0.0.1", openssl's x509v3_config(5); NULL: nobody asks). A path that is
 * NULL is not written to.
 */
void certificate_make(const char *name, const char *hosts, const char *cert_path,
		      const char *key_path);
