#include "sshgw/session/login_pam.h"

#include <errno.h>
#include <security/pam_appl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/text.h"
#include "sshgw/session/login_text.h"

struct login_pam {
	pam_handle_t *handle;
	const struct account *account;
	struct login_text text;
	bool has_credentials, has_session;
	int last; /* result of the last call, for pam_end() */
};

/* ---- conversation ---- */

/* Takes messages, refuses questions: there is nobody who could be asked. */
static int converse(int n, const struct pam_message **messages, struct pam_response **ret_responses,
		    void *userdata)
{
	struct login_pam *pam = userdata;
	struct pam_response *responses;

	if (n <= 0 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	for (int i = 0; i < n; i++) {
		if (messages[i]->msg_style != PAM_TEXT_INFO &&
		    messages[i]->msg_style != PAM_ERROR_MSG)
			return PAM_CONV_ERR;
		if (messages[i]->msg)
			login_text_add(&pam->text, messages[i]->msg);
	}
	responses = calloc((size_t)n, sizeof(*responses));
	if (!responses)
		return PAM_BUF_ERR;
	*ret_responses = responses;
	return PAM_SUCCESS;
}

/* ---- begin and end ---- */

static int set_items(struct login_pam *pam, const char *remote_host)
{
	int r = pam_set_item(pam->handle, PAM_RHOST, remote_host);

	/*
	 * "ssh" is the word that pam_systemd knows: no terminal yet; logind finds it later through
	 * utmp, by our process id.
	 */
	return r == PAM_SUCCESS ? pam_set_item(pam->handle, PAM_TTY, "ssh") : r;
}

int login_pam_new(const struct login_pam_config *config, const struct account *account,
		  const char *remote_host, struct login_pam **ret_pam, char **reterr_text)
{
	_cleanup_(login_pam_freep) struct login_pam *pam = calloc(1, sizeof(*pam));
	struct pam_conv conv = { .conv = converse, .appdata_ptr = pam };

	if (!pam)
		return -ENOMEM;
	pam->account = account;
	pam->last = pam_start_confdir(config->service, account->name, &conv, config->confdir,
				      &pam->handle);
	if (pam->last == PAM_SUCCESS)
		pam->last = set_items(pam, remote_host);
	if (pam->last != PAM_SUCCESS) {
		*reterr_text = text_printf("PAM service '%s' could not be set up: %s",
					   config->service, pam_strerror(pam->handle, pam->last));
		return -EIO;
	}
	*ret_pam = take_ptr(pam);
	return 0;
}

struct login_pam *login_pam_free(struct login_pam *pam)
{
	if (!pam)
		return NULL;
	if (pam->has_session) {
		pam->last = pam_close_session(pam->handle, PAM_SILENT);
		if (pam->last != PAM_SUCCESS)
			log_warning("PAM could not close the session, continuing: %s",
				    pam_strerror(pam->handle, pam->last));
	}
	if (pam->has_credentials)
		pam->last = pam_setcred(pam->handle, PAM_DELETE_CRED | PAM_SILENT);
	if (pam->handle)
		pam_end(pam->handle, pam->last);
	login_text_done(&pam->text);
	free(pam);
	return NULL;
}

/* Modules may exchange the user; what was authorised is this account and no other. */
static bool user_is_unchanged(struct login_pam *pam)
{
	const void *user = NULL;

	return pam_get_item(pam->handle, PAM_USER, &user) == PAM_SUCCESS && user &&
	       strcmp(user, pam->account->name) == 0;
}

/* ---- account ---- */

static char *refusal(struct login_pam *pam)
{
	const char *said = login_text_get(&pam->text);
	size_t len = strlen(said);

	while (len > 0 && said[len - 1] == '\n')
		len--;
	if (len > 0)
		return strndup(said, len);
	return text_printf("The account '%s' may not log in now (PAM: %s).", pam->account->name,
			   pam_strerror(pam->handle, pam->last));
}

/* Whether that is what PAM says of an account (pam_acct_mgmt(3)), or that it cannot tell. */
static bool is_verdict(int result)
{
	return result == PAM_ACCT_EXPIRED || result == PAM_AUTH_ERR || result == PAM_PERM_DENIED ||
	       result == PAM_USER_UNKNOWN || result == PAM_CRED_EXPIRED ||
	       result == PAM_AUTHTOK_EXPIRED;
}

/* Where pam_nologin(8) looks; which module refused, PAM does not say. */
static bool is_closed(const struct account *account)
{
	return account->uid != 0 &&
	       (access("/run/nologin", F_OK) == 0 || access("/etc/nologin", F_OK) == 0);
}

int login_pam_account(struct login_pam *pam, char **ret_text)
{
	char *text;

	pam->last = pam_acct_mgmt(pam->handle, 0);
	if (pam->last == PAM_NEW_AUTHTOK_REQD) {
		/* "You are required to change your password immediately" would only mislead. */
		login_text_done(&pam->text);
		pam->last = PAM_SUCCESS;
	}
	if (pam->last == PAM_SUCCESS && !user_is_unchanged(pam))
		pam->last = PAM_USER_UNKNOWN;
	if (pam->last == PAM_SUCCESS)
		return 0;
	text = refusal(pam);
	if (!text)
		return -ENOMEM;
	*ret_text = text;
	if (!is_verdict(pam->last))
		return -EIO;
	return is_closed(pam->account) ? LOGIN_PAM_CLOSED : LOGIN_PAM_REFUSED;
}

/* ---- session ---- */

/*
 * Groups, tickets and the like. They can only add rights, so that a login goes on without them, as
 * sshd does for logins that PAM did not authenticate.
 */
static void establish_credentials(struct login_pam *pam)
{
	pam->last = pam_setcred(pam->handle, PAM_ESTABLISH_CRED);
	pam->has_credentials = pam->last == PAM_SUCCESS;
	if (!pam->has_credentials)
		log_warning("PAM could not establish credentials, continuing without: %s",
			    pam_strerror(pam->handle, pam->last));
}

int login_pam_open(struct login_pam *pam, const char *ssh_connection, char **reterr_text)
{
	_cleanup_free_ char *connection = text_printf("SSH_CONNECTION=%s", ssh_connection);

	if (!connection)
		return -ENOMEM;
	pam->text.colours = true;
	pam->last = pam_putenv(pam->handle, connection);
	if (pam->last == PAM_SUCCESS) {
		establish_credentials(pam);
		pam->last = pam_open_session(pam->handle, 0);
		pam->has_session = pam->last == PAM_SUCCESS;
	}
	if (pam->last == PAM_SUCCESS && !user_is_unchanged(pam))
		pam->last = PAM_SESSION_ERR;
	if (pam->last == PAM_SUCCESS)
		return 0;
	*reterr_text =
		text_printf("PAM could not open the session: %s\n%s",
			    pam_strerror(pam->handle, pam->last), login_text_get(&pam->text));
	return -EACCES;
}

const char *login_pam_text(const struct login_pam *pam)
{
	return login_text_get(&pam->text);
}

char **login_pam_environment(struct login_pam *pam)
{
	return pam_getenvlist(pam->handle);
}
