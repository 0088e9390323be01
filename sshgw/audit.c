#include "sshgw/audit.h"

#include <errno.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"

/* linux/audit.h leaves the numbers of user space's own messages to libaudit: audit(8). */
#define USER_LOGIN 1112

/* Bytes of a value that are told. */
#define MAX_VALUE 512u
#define VALUE_LEN (2 * MAX_VALUE + 1)

/* ---- text ---- */

static bool is_plain(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (value[i] <= ' ' || value[i] >= 0x7f || value[i] == '"' || value[i] == '\'')
			return false;
	return len > 0;
}

/* The kernel puts the whole of it into single quotation marks. In double ones, or as hexadecimal
 * digits: the two cannot be mistaken for one another. */
static const char *encode(const char *value, char out[VALUE_LEN + 2])
{
	size_t len = strnlen(value, MAX_VALUE);

	if (is_plain(value, len)) {
		snprintf(out, VALUE_LEN + 2, "\"%.*s\"", (int)len, value);
		return out;
	}
	out[0] = '\0';
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02X", (unsigned char)value[i]);
	return len > 0 ? out : "?";
}

const char *audit_login_text(const struct audit_login *login, char text[AUDIT_TEXT_LEN])
{
	char account[VALUE_LEN + 2], exe[VALUE_LEN + 2], who[VALUE_LEN + 16];

	if (login->success)
		snprintf(who, sizeof(who), "id=%u", login->uid);
	else
		snprintf(who, sizeof(who), "acct=%s", encode(login->account, account));
	snprintf(text, AUDIT_TEXT_LEN, "op=login %s exe=%s hostname=? addr=%s terminal=ssh res=%s",
		 who, encode(login->exe, exe), login->address,
		 login->success ? "success" : "failed");
	return text;
}

/* ---- netlink ---- */

/* Return: whether it says that nobody listens. audit_netlink_ok() in kernel/audit.c. */
static bool is_absent(int error)
{
	return error == -EPROTONOSUPPORT || error == -EAFNOSUPPORT || error == -EINVAL ||
	       error == -ECONNREFUSED || error == -EPERM;
}

static int read_ack(int fd)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} ack;
	/* The kernel has answered before sendto() returns. */
	ssize_t n = recv(fd, &ack, sizeof(ack), MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(ack) || ack.header.nlmsg_type != NLMSG_ERROR)
		return -EBADMSG;
	return ack.error.error;
}

static int tell_kernel(const char *text)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct {
		struct nlmsghdr header;
		char text[AUDIT_TEXT_LEN];
	} msg = { .header = { .nlmsg_type = USER_LOGIN,
			      .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK } };
	size_t len = strlen(text) + 1;

	if (fd < 0)
		return -errno;
	memcpy(msg.text, text, len);
	msg.header.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
	if (sendto(fd, &msg, msg.header.nlmsg_len, MSG_DONTWAIT, (struct sockaddr *)&kernel,
		   sizeof(kernel)) < 0)
		return -errno;
	return read_ack(fd);
}

int audit_login(const struct audit_login *login)
{
	struct audit_login full = *login;
	char exe[PATH_MAX], text[AUDIT_TEXT_LEN];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	int r;

	exe[n < 0 ? 0 : n] = '\0';
	full.exe = exe;
	r = tell_kernel(audit_login_text(&full, text));
	return is_absent(r) ? 0 : r;
}
