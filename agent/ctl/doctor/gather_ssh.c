/* What this host has for logins, its own sshd included. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "agent/ctl/doctor/doctor.h"
#include "common/file.h"
#include "common/text.h"
#include "common/text_stream.h"
#include "peergate-config.h"

#define CONFIG_MAX   (256u << 10) /* bytes of one file, and of all together */
#define MAX_INCLUDES 4		  /* one within the other */
#define SSH_DIR	     "/etc/ssh"

static bool exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static void see_host_keys(struct doctor_facts *facts)
{
	static const char *const names[] = { "ed25519", "ecdsa", "rsa" };

	for (size_t i = 0; i < ARRAY_SIZE(names) && !facts->host_keys; i++) {
		_cleanup_free_ char *path = text_printf(SSH_DIR "/ssh_host_%s_key", names[i]);
		_cleanup_free_ char *own =
			text_printf(PEERGATE_HOSTKEY_DIR "/ssh_host_%s_key", names[i]);

		if (!path || !own)
			return;
		facts->host_keys = exists(path) || exists(own);
		facts->host_keys_unseen |= errno == EACCES;
	}
}

/* sshd_config, with its Include lines replaced by what they name. */
struct config {
	FILE *out;
	size_t len;
	bool partial;
};

static void add_file(struct config *config, const char *path, int depth);

static void add_included(struct config *config, const char *patterns, int depth)
{
	_cleanup_free_ char *words = strdup(patterns);
	char *rest = words;

	for (char *word = strsep(&rest, " \t"); word; word = strsep(&rest, " \t")) {
		_cleanup_free_ char *path =
			text_printf("%s%s", word[0] == '/' ? "" : SSH_DIR "/", word);
		glob_t found = { 0 };

		if (word[0] && path && glob(path, 0, NULL, &found) == 0)
			for (size_t i = 0; i < found.gl_pathc; i++)
				add_file(config, found.gl_pathv[i], depth + 1);
		globfree(&found);
	}
}

static void add_file(struct config *config, const char *path, int depth)
{
	_cleanup_free_ char *text = NULL;
	struct doctor_line line;
	const char *rest;
	size_t len = 0;

	if (depth > MAX_INCLUDES || config->len > CONFIG_MAX ||
	    file_read(AT_FDCWD, path, CONFIG_MAX, &text, &len) < 0) {
		config->partial = true;
		return;
	}
	config->len += len;
	rest = text;
	while (doctor_next_line(&rest, &line))
		if (strcasecmp(line.key, "Include") == 0)
			add_included(config, line.value, depth);
		else
			fprintf(config->out, "%s %s\n", line.key, line.value);
}

static void see_sshd(struct doctor_facts *facts)
{
	struct config config = { 0 };
	struct text_stream out;

	if (!exists(SSH_DIR "/sshd_config"))
		return;
	if (text_stream_open(&out) < 0)
		return;
	config.out = out.file;
	add_file(&config, SSH_DIR "/sshd_config", 0);
	facts->sshd_config = text_stream_close(&out);
	facts->sshd_config_partial = config.partial;
}

static void see_ceiling(struct doctor_facts *facts)
{
	size_t len;
	int r;

	r = file_read(AT_FDCWD, PEERGATE_SYSCONFDIR "/sshgw.conf", CONFIG_MAX, &facts->ceiling,
		      &len);
	facts->ceiling_error = r == -ENOENT ? 0 : r;
}

void doctor_gather_ssh(struct doctor_facts *facts)
{
	struct utsname uts;

	if (uname(&uts) == 0)
		facts->release = strdup(uts.release);
	facts->gateway_installed = exists(PEERGATE_LIBEXECDIR "/peergate-sshgw");
	facts->gateway_account = getpwnam(PEERGATE_SSHGW_USER) != NULL;
	facts->pam_service = exists("/etc/pam.d/peergate");
	see_ceiling(facts);
	see_host_keys(facts);
	see_sshd(facts);
}
