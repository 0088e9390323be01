/* Reading what the command line names, and telling people what is wrong with it. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/text.h"
#include "coord/ctl/ctl.h"
#include "coord/ctl/render.h"

#define MAX_MESSAGE 1024u
#define MAX_NAME    256u

_printf_(2, 0) static void tell(const struct ctl *ctl, const char *fmt, va_list ap)
{
	_cleanup_free_ char *raw = NULL, *shown = NULL;

	raw = text_vprintf(fmt, ap);
	shown = raw ? text_sanitize(raw, MAX_MESSAGE) : NULL;
	fprintf(ctl->err.file, "coordctl: %s\n", shown ? shown : "out of memory");
}

int ctl_tell(const struct ctl *ctl, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(ctl, fmt, ap);
	va_end(ap);
	return CTL_NO_ANSWER;
}

int ctl_tell_usage(const struct ctl *ctl, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(ctl, fmt, ap);
	va_end(ap);
	return CLI_USAGE;
}

int ctl_rendered(const struct ctl *ctl, int r)
{
	return r < 0 ? ctl_tell(ctl, "%s", strerror(-r)) : CLI_OK;
}

int ctl_print_json(const struct ctl *ctl, json_t *value)
{
	int r = value ? cli_show_json(&ctl->out, value, JSON_INDENT(2)) : -ENOMEM;

	json_decref(value);
	if (r == 0)
		fputc('\n', ctl->out.file);
	return ctl_rendered(ctl, r);
}

/* ---- files ---- */

/* Pipes too: "coordctl policy check <(make-policy)". */
static int read_any(const char *path, size_t max, char **ret_text, size_t *ret_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode))
		return file_read_fd(fd, max, ret_text, ret_len);
	return file_read_stream(fd, max, ret_text, ret_len);
}

static int tell_unreadable(const struct ctl *ctl, const char *name, size_t max, int error)
{
	if (error == -EFBIG)
		return ctl_tell(ctl, "%s: larger than %zu MiB, which is the most that is read",
				name, max >> 20);
	return ctl_tell(ctl, "%s: %s", name, strerror(-error));
}

int ctl_read_source(struct ctl *ctl, const char *path, size_t max, struct source *ret_source)
{
	bool from_stdin = strcmp(path, "-") == 0;
	struct source source = { 0 };
	int r;

	if (from_stdin && ctl->stdin_taken)
		return ctl_tell_usage(ctl, "standard input can be only one of the files");
	ctl->stdin_taken |= from_stdin;
	source.name = text_sanitize(from_stdin ? "<stdin>" : path, MAX_NAME);
	if (!source.name)
		return ctl_rendered(ctl, -ENOMEM);
	if (from_stdin)
		r = file_read_stream(STDIN_FILENO, max, &source.text, &source.len);
	else
		r = read_any(path, max, &source.text, &source.len);
	if (r < 0) {
		r = tell_unreadable(ctl, source.name, max, r);
		source_done(&source);
		return r;
	}
	*ret_source = source;
	return CLI_OK;
}

/* ---- policies ---- */

void ctl_policy_done(struct ctl_policy *policy)
{
	policy->policy = policy_free(policy->policy);
	policy_problems_done(&policy->problems);
	source_done(&policy->source);
}

int ctl_read_policy(struct ctl *ctl, const char *path, const struct policy_network *network,
		    struct ctl_policy *ret_policy)
{
	const struct policy_mapped mapped = { .groups = network ? network->groups : NULL,
					      .n_groups = network ? network->n_groups : 0 };
	struct ctl_policy policy = { 0 };
	int r;

	r = ctl_read_source(ctl, path, POLICY_MAX_BYTES, &policy.source);
	if (r != CLI_OK)
		return r;
	r = policy_parse_mapped(policy.source.text, policy.source.len, &mapped, &policy.problems,
				&policy.policy);
	if (r < 0 && r != -EINVAL) {
		ctl_policy_done(&policy);
		return ctl_rendered(ctl, r);
	}
	*ret_policy = policy;
	return CLI_OK;
}

/* A verb other than check cannot do its work. */
static int tell_refused(const struct ctl *ctl, const struct ctl_policy *policy)
{
	struct ctl_check check = { .source = &policy->source, .problems = &policy->problems };

	if (ctl->json)
		(void)ctl_print_json(ctl, ctl_check_json(&check));
	else
		(void)ctl_rendered(ctl, ctl_render_check(&check, &ctl->err));
	return CTL_NO_ANSWER;
}

/* ---- both ---- */

void ctl_setup_done(struct ctl_setup *setup)
{
	setup->engine = policy_engine_free(setup->engine);
	setup->network = policy_network_free(setup->network);
	ctl_policy_done(&setup->policy);
}

int ctl_set_up_on(struct ctl *ctl, const char *path, const struct policy_network *network,
		  struct ctl_setup *setup)
{
	int r = ctl_read_policy(ctl, path, network, &setup->policy);

	if (r != CLI_OK)
		return r;
	if (!setup->policy.policy)
		return tell_refused(ctl, &setup->policy);
	return ctl_rendered(ctl, policy_engine_new(setup->policy.policy, network, &setup->engine));
}

int ctl_set_up(struct ctl *ctl, const char *path, struct ctl_setup *setup)
{
	int r = ctl_read_network(ctl, &setup->network);

	return r == CLI_OK ? ctl_set_up_on(ctl, path, setup->network, setup) : r;
}
