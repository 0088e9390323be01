/*
 * libssh.a refers to the GSSAPI, which the gateway never offers as a method. Linking Kerberos into
 * the process that faces the network, for nothing, costs start time, memory and attack surface:
 * these stand in, and end the process should one ever be reached.
 */
#include <stdlib.h>

#define REFUSED(name)    \
	void name(void); \
	void name(void)  \
	{                \
		abort(); \
	}

REFUSED(gss_accept_sec_context)
REFUSED(gss_acquire_cred)
REFUSED(gss_add_oid_set_member)
REFUSED(gss_create_empty_oid_set)
REFUSED(gss_display_name)
REFUSED(gss_display_status)
REFUSED(gss_get_mic)
REFUSED(gss_import_name)
REFUSED(gss_indicate_mechs)
REFUSED(gss_init_sec_context)
REFUSED(gss_inquire_cred)
REFUSED(gss_inquire_cred_by_mech)
REFUSED(gss_release_buffer)
REFUSED(gss_release_cred)
REFUSED(gss_release_name)
REFUSED(gss_release_oid_set)
REFUSED(gss_test_oid_set_member)
REFUSED(gss_verify_mic)

/* Data symbols: name types that would be passed to the functions above. */
extern const void *const GSS_C_NT_HOSTBASED_SERVICE, *const GSS_C_NT_USER_NAME;
const void *const GSS_C_NT_HOSTBASED_SERVICE = NULL;
const void *const GSS_C_NT_USER_NAME = NULL;
