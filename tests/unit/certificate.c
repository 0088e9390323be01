#include "tests/unit/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void write_pem(const char *path, EVP_PKEY *key, X509 *cert)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(key ? PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL)
			     : PEM_write_X509(file, cert),
			 1);
	assert_int_equal(fclose(file), 0);
}

static void add_hosts(X509 *cert, const char *hosts)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, hosts);

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

void certificate_make(const char *name, const char *hosts, const char *cert_path,
		      const char *key_path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);

	assert_non_null(key);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
				   0);
	X509_set_issuer_name(cert, subject);
	if (hosts)
		add_hosts(cert, hosts);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	if (cert_path)
		write_pem(cert_path, NULL, cert);
	if (key_path)
		write_pem(key_path, key, NULL);
	X509_free(cert);
	EVP_PKEY_free(key);
}
