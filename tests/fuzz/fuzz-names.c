/*
 * A names file from anywhere, asked as the NSS module asks it. Input: what is asked for, up to a
 * newline, then the file. Whatever is found holds what names.h promises, and fits any buffer or
 * none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/names.h"
#include "common/text.h"
#include "nss/answer.h"

#define MAX_QUESTION 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* Into a buffer of every size up to enough, which ends where a sanitizer watches. */
static void check_answers(const struct names_host *host, const char *domain)
{
	for (size_t len = 0; len < 1024; len += 7) {
		_cleanup_free_ char *buffer = malloc(len);
		struct gaih_addrtuple *tuples = NULL;
		struct hostent answer;
		int r;

		r = answer_tuples(host, domain, buffer, len, &tuples);
		require(r == -ERANGE || (r == 0 && tuples));
		r = answer_hostent(host, domain, AF_INET, buffer, len, &answer);
		require(r == -ERANGE || r == ANSWER_NO_ADDRESS ||
			(r == 0 &&
			 strlen(answer.h_name) <= NAMES_MAX_LABEL + 1 + NAMES_MAX_DOMAIN));
		r = answer_hostent(host, domain, AF_INET6, buffer, len, &answer);
		require(r == -ERANGE || r == ANSWER_NO_ADDRESS || answer.h_length == 16);
	}
}

static void ask_name(const struct names *names, const char *question)
{
	char label[NAMES_MAX_LABEL + 1];
	struct names_host host;
	int r;

	if (names_label(names, question, label) != 0)
		return;
	require(text_is_label(label));
	r = names_find(names, label, &host);
	require(r == 0 || r == NAMES_NONE || r == -EBADMSG);
	if (r != 0)
		return;
	require(strcmp(host.label, label) == 0);
	require(host.n_addresses >= 1 && host.n_addresses <= NAMES_MAX_ADDRESSES);
	check_answers(&host, names->domain);
}

static void ask_address(const struct names *names, const char *question)
{
	char label[NAMES_MAX_LABEL + 1];
	struct ip_addr addr;
	int r;

	if (ip_addr_parse(question, &addr) < 0)
		return;
	r = names_find_address(names, &addr, label);
	require(r == NAMES_NONE || r == -EBADMSG || (r == 0 && text_is_label(label)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = memchr(data, '\n', size);
	_cleanup_close_ int fd = -1;
	char question[MAX_QUESTION];
	struct names names;
	size_t len;

	if (!newline || newline - data >= MAX_QUESTION)
		return 0;
	len = (size_t)(newline - data);
	memcpy(question, data, len);
	question[len] = '\0';
	size -= len + 1;
	fd = memfd_create("names", MFD_CLOEXEC);
	require(fd >= 0 && write(fd, newline + 1, size) == (ssize_t)size);
	if (names_open_fd(fd, &names) < 0)
		return 0;
	require(text_is_domain(names.domain) && strchr(names.domain, '.'));
	ask_name(&names, question);
	ask_address(&names, question);
	return 0;
}
