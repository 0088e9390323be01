#include "coord/server/listeners.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/listen.h"
#include "common/text.h"

/* Everybody who may connect is asked who he is (coord/api/admin_auth.c). */
#define ADMIN_MODE 0666

static int fail(char **reterr_text, int error, const char *what)
{
	*reterr_text = text_printf("LISTEN_FDS: %s: %s", what, strerror(-error));
	return *reterr_text ? error : -ENOMEM;
}

static char **free_names(char **names)
{
	for (size_t i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
	return NULL;
}
DEFINE_CLEANUP(char **, free_names);

/* The sockets of systemd's socket units. */
static int serve_passed(struct http_server *server, const struct http_tls_files *tls,
			bool *ret_admin, bool *ret_network, char **reterr_text)
{
	_cleanup_(free_namesp) char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names), r = 0;

	if (n < 0)
		return fail(reterr_text, n, "cannot be read");
	for (int i = 0; r == 0 && i < n; i++) {
		bool admin = strcmp(names[i], "admin") == 0;
		int fd = SD_LISTEN_FDS_START + i;

		if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
			return fail(reterr_text, -EINVAL, "expected listening stream sockets");
		r = http_server_listen_fd(server, fd, admin ? NULL : tls, reterr_text);
		*(admin ? ret_admin : ret_network) = true;
	}
	return r;
}

static int serve_admin(struct http_server *server, const char *path, char **reterr_text)
{
	int fd, r = listen_unix(path, ADMIN_MODE, reterr_text, &fd);

	return r < 0 ? r : http_server_listen_fd(server, fd, NULL, reterr_text);
}

int listeners_open(struct http_server *server, const struct coord_config *config,
		   const char *admin_path, char **reterr_text)
{
	const struct http_tls_files files = { config->certificate, config->private_key };
	const struct http_tls_files *tls = config->certificate ? &files : NULL;
	bool admin = false, network = false;
	int r;

	r = serve_passed(server, tls, &admin, &network, reterr_text);
	for (size_t i = 0; r == 0 && !network && i < config->n_endpoints; i++)
		r = http_server_listen(server, &config->endpoints[i], tls, reterr_text);
	if (r == 0 && !admin)
		r = serve_admin(server, admin_path, reterr_text);
	return r;
}
