/* "init": makes a coordinator out of this host. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/text.h"
#include "coord/ctl/ctl.h"
#include "coord/ctl/offline.h"
#include "peergate-config.h"

#define PLACE_MODE  0700
#define FOLDER_MODE 0755
#define CONFIG_MODE 0644

/* ---- the configuration ---- */

static int make_config(struct ctl *ctl, char **ret_text)
{
	const struct offline_config config = {
		.url = ctl->server.url,
		.listen = ctl->init.listen,
		.certificate = ctl->init.certificate,
		.private_key = ctl->init.private_key,
	};
	_cleanup_free_ char *error = NULL;
	int r = offline_config_text(&config, &error, ret_text);

	return r == -EINVAL ? ctl_tell_usage(ctl, "%s", error) : ctl_rendered(ctl, r);
}

/* Written if there is none. *ret_written: whether it was. */
static int write_config(struct ctl *ctl, const char *text, bool *ret_written)
{
	int r;

	if (mkdir(PEERGATE_SYSCONFDIR, FOLDER_MODE) < 0 && errno != EEXIST)
		return ctl_tell(ctl, PEERGATE_SYSCONFDIR ": %s", strerror(errno));
	r = file_write_new(AT_FDCWD, ctl->init.config, text, strlen(text), CONFIG_MODE);
	*ret_written = r == 0;
	if (r == 0 || r == -EEXIST)
		return CLI_OK;
	return ctl_tell(ctl, "%s: %s", ctl->init.config, strerror(-r));
}

/* ---- the state ---- */

/* Files are made by whoever will use them. Only root has to step down. */
static int act_as(const struct passwd *user)
{
	if (geteuid() != 0)
		return 0;
	return setegid(user->pw_gid) < 0 || seteuid(user->pw_uid) < 0 ? -errno : 0;
}

static int act_as_root(void)
{
	if (getuid() != 0)
		return 0;
	return seteuid(0) < 0 || setegid(0) < 0 ? -errno : 0;
}

static int make_folder(const char *path, const struct passwd *user)
{
	if (mkdir(path, PLACE_MODE) < 0)
		return errno == EEXIST ? 0 : -errno;
	return chown(path, user->pw_uid, user->pw_gid) < 0 ? -errno : 0;
}

/* The certificate's files have to be the coordinator's to read. */
static void warn_unreadable(struct ctl *ctl, const char *path)
{
	if (path && euidaccess(path, R_OK) < 0)
		ctl_tell(ctl,
			 "warning: %s: the account " PEERGATE_COORD_USER
			 " cannot read it (%s); make it readable before you start the coordinator",
			 path, strerror(errno));
}

static int set_up(struct ctl *ctl, const struct passwd *user, char key[ED25519_TEXT_LEN])
{
	_cleanup_free_ char *error = NULL;
	int r = make_folder(ctl->state_dir, user), back;

	if (r < 0)
		return ctl_tell(ctl, "%s: %s", ctl->state_dir, strerror(-r));
	r = act_as(user);
	if (r == 0)
		r = offline_set_up(ctl->state_dir, ctl->init.domain, &error, key);
	if (r == 0) {
		warn_unreadable(ctl, ctl->init.certificate);
		warn_unreadable(ctl, ctl->init.private_key);
	}
	back = act_as_root();
	if (r == 0)
		r = back;
	if (r == -EBUSY)
		return ctl_tell(ctl, "%s; the coordinator runs, and was set up before", error);
	return r < 0 ? ctl_tell(ctl, "%s", error ? error : strerror(-r)) : CLI_OK;
}

/* ---- what to do next ---- */

static int tell_next(struct ctl *ctl, const char *key, bool wrote_config)
{
	FILE *f = ctl->out.file;

	if (ctl->json)
		return ctl_print_json(ctl,
				      json_pack("{s:s, s:s, s:s, s:b}", "domain", ctl->init.domain,
						"key", key, "config", ctl->init.config,
						"config_written", wrote_config));
	fprintf(f, "The mesh %s is there. Its coordinator's key:\n\n    %s\n\n", ctl->init.domain,
		key);
	if (wrote_config)
		fprintf(f, "%s was written; see peergate-coord.conf(5).\n", ctl->init.config);
	else
		fprintf(f, "%s was there before and stays as it is: see that its Url= is right.\n",
			ctl->init.config);
	fprintf(f,
		"\nNext:\n"
		"    systemctl enable --now peergate-coord\n"
		"    coordctl users add alice@example.com\n"
		"    coordctl authkeys create --user alice@example.com\n"
		"On each host, with the key that this prints in a file:\n"
		"    agentctl up --coordinator %s --auth-key-file FILE\n",
		ctl->server.url);
	return CLI_OK;
}

int verb_init(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	const struct passwd *user = getpwnam(PEERGATE_COORD_USER);
	char key[ED25519_TEXT_LEN];
	_cleanup_free_ char *config = NULL;
	bool wrote_config = false;
	int r;

	if (!ctl->init.domain || !ctl->server.url)
		return ctl_tell_usage(ctl, "expected --domain, which the names of hosts end in, "
					   "and --url, where they reach the coordinator");
	if (geteuid() != 0)
		return ctl_tell(ctl, "init is for root");
	if (!user)
		return ctl_tell(ctl, "there is no account " PEERGATE_COORD_USER
				     "; \"systemd-sysusers\" makes it");
	umask(022);
	r = make_config(ctl, &config);
	if (r == CLI_OK)
		r = set_up(ctl, user, key);
	if (r == CLI_OK)
		r = write_config(ctl, config, &wrote_config);
	return r == CLI_OK ? tell_next(ctl, key, wrote_config) : r;
}
