/*
 * Runs in any process of the host, setuid ones and threads with small stacks among them: no memory
 * from the heap, no locks, no state, nothing but libc. The file is not believed, either: what it
 * says is checked before it is used, and every loop has an end that it does not set.
 */
#include "common/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- opening ---- */

static bool others_may_write(const struct stat *st)
{
	return st->st_mode & (S_IWGRP | S_IWOTH);
}

/* An fd of the file in dir, if both can be trusted; negative errno. */
static int open_trusted(const char *dir)
{
	int dirfd, fd = -1, r = 0;
	struct stat of_dir, of_file;

	dirfd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	if (fstat(dirfd, &of_dir) == 0)
		/* O_NONBLOCK: a FIFO does not hang whoever asks for a name. */
		fd = openat(dirfd, NAMES_FILE,
			    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &of_file) < 0)
		r = -errno;
	else if (others_may_write(&of_dir) || others_may_write(&of_file) ||
		 (of_file.st_uid != 0 && of_file.st_uid != of_dir.st_uid))
		r = -EPERM;
	close(dirfd);
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

/* All of len bytes, or -EBADMSG: the file is shorter than it says. */
static int read_at(int fd, char *buf, size_t len, uint64_t offset)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, buf + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		done += (size_t)n;
	}
	return 0;
}

/*
 * Take a field and the byte behind it: what is left of it without its padding. Whatever stands in
 * text (width + 1 bytes) afterwards holds no blank and no control character.
 */
static int take_field(const char *at, size_t width, char end, char *text)
{
	size_t len = 0;

	while (len < width && at[len] > ' ' && at[len] < 0x7f)
		len++;
	memcpy(text, at, len);
	text[len] = '\0';
	for (size_t i = len; i < width; i++)
		if (at[i] != ' ')
			return -EBADMSG;
	return len > 0 && at[width] == end ? 0 : -EBADMSG;
}

static int take_number(const char *at, char end, uint32_t *ret_number)
{
	char text[NAMES_NUMBER_LEN + 1];
	uint32_t number = 0;

	if (take_field(at, NAMES_NUMBER_LEN, end, text) < 0)
		return -EBADMSG;
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9')
			return -EBADMSG;
		number = number * 10 + (uint32_t)(*p - '0'); /* eight digits fit */
	}
	*ret_number = number;
	return 0;
}

/* One label of lower case, digits and inner hyphens, up to end. */
static bool is_label(const char *s, const char *end)
{
	if (s == end || end - s > (ptrdiff_t)NAMES_MAX_LABEL || *s == '-' || end[-1] == '-')
		return false;
	for (; s < end; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '-'))
			return false;
	return true;
}

/* Two labels or more: a domain of one label would take over names that are not the mesh's. */
static bool is_mesh_domain(const char *s)
{
	size_t n = 0;

	for (;; n++) {
		const char *end = strchrnul(s, '.');

		if (!is_label(s, end))
			return false;
		if (!*end)
			return n > 0;
		s = end + 1;
	}
}

static int read_header(int fd, struct names *names)
{
	const size_t domain_at = NAMES_MAGIC_LEN + 1;
	const size_t number_at = domain_at + NAMES_MAX_DOMAIN + 1;
	char header[NAMES_HEADER_LEN];
	int r;

	r = read_at(fd, header, sizeof(header), 0);
	if (r < 0)
		return r;
	if (memcmp(header, NAMES_MAGIC " ", NAMES_MAGIC_LEN + 1) != 0)
		return -EBADMSG;
	r = take_field(header + domain_at, NAMES_MAX_DOMAIN, ' ', names->domain);
	if (r == 0)
		r = take_number(header + number_at, '\n', &names->n_records);
	if (r < 0)
		return r;
	return is_mesh_domain(names->domain) && names->n_records <= NAMES_MAX_RECORDS ? 0
										      : -EBADMSG;
}

int names_open_fd(int fd, struct names *ret_names)
{
	struct names names = { .fd = fd };
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	r = read_header(fd, &names);
	if (r < 0)
		return r;
	if ((uint64_t)st.st_size !=
	    NAMES_HEADER_LEN + (uint64_t)names.n_records * (NAMES_RECORD_LEN + NAMES_INDEX_LEN))
		return -EBADMSG;
	*ret_names = names;
	return 0;
}

int names_open(const char *dir, struct names *ret_names)
{
	int fd = open_trusted(dir), r;

	if (fd < 0)
		return fd;
	r = names_open_fd(fd, ret_names);
	if (r < 0)
		close(fd);
	return r;
}

void names_close(struct names *names)
{
	close(names->fd);
	names->fd = -1;
}

/* ---- looking up ---- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Is this the mesh's domain, in upper or lower case, perhaps with the root's dot? */
static bool is_domain_of(const struct names *names, const char *text)
{
	const char *d = names->domain;

	while (*d && lower(*text) == *d) {
		text++;
		d++;
	}
	return !*d && (!*text || (text[0] == '.' && !text[1]));
}

int names_label(const struct names *names, const char *name, char ret_label[NAMES_MAX_LABEL + 1])
{
	char label[NAMES_MAX_LABEL + 1];
	size_t len = 0;

	for (; name[len] && name[len] != '.'; len++) {
		if (len == NAMES_MAX_LABEL)
			return NAMES_NONE;
		label[len] = lower(name[len]);
	}
	label[len] = '\0';
	if (!is_label(label, label + len) || strcmp(label, "localhost") == 0)
		return NAMES_NONE;
	if (name[len] == '.' && !is_domain_of(names, name + len + 1))
		return NAMES_NONE;
	memcpy(ret_label, label, len + 1);
	return 0;
}

struct record {
	char label[NAMES_MAX_LABEL + 1];
	char address[NAMES_ADDRESS_LEN + 1];
};

static int read_record(const struct names *names, uint32_t number, struct record *record)
{
	char line[NAMES_RECORD_LEN];
	int r;

	if (number >= names->n_records)
		return -EBADMSG;
	r = read_at(names->fd, line, sizeof(line),
		    NAMES_HEADER_LEN + (uint64_t)number * NAMES_RECORD_LEN);
	if (r == 0)
		r = take_field(line, NAMES_MAX_LABEL, ' ', record->label);
	if (r == 0)
		r = take_field(line + NAMES_MAX_LABEL + 1, NAMES_ADDRESS_LEN, '\n',
			       record->address);
	if (r == 0 && !is_label(record->label, record->label + strlen(record->label)))
		return -EBADMSG;
	return r;
}

/* The record that the index has in this place. */
static int read_indexed(const struct names *names, uint32_t place, struct record *record)
{
	uint64_t index_at = NAMES_HEADER_LEN + (uint64_t)names->n_records * NAMES_RECORD_LEN;
	char line[NAMES_INDEX_LEN];
	uint32_t number = 0;
	int r;

	r = read_at(names->fd, line, sizeof(line), index_at + (uint64_t)place * NAMES_INDEX_LEN);
	if (r == 0)
		r = take_number(line, '\n', &number);
	return r < 0 ? r : read_record(names, number, record);
}

/* The first place whose record's label is not less than this one; n_records if there is none. */
static int find_label(const struct names *names, const char *label, uint32_t *ret_place)
{
	uint32_t low = 0, high = names->n_records;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		struct record record;
		int r = read_record(names, middle, &record);

		if (r < 0)
			return r;
		if (strcmp(record.label, label) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_place = low;
	return 0;
}

static int take_address(const char *text, struct ip_addr *ret_addr)
{
	struct ip_addr addr = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };

	if (inet_pton(addr.family, text, addr.bytes) != 1)
		return -EBADMSG;
	*ret_addr = addr;
	return 0;
}

int names_find(const struct names *names, const char *label, struct names_host *ret_host)
{
	struct names_host host = { 0 };
	uint32_t place;
	int r;

	r = find_label(names, label, &place);
	if (r < 0)
		return r;
	for (; place < names->n_records && host.n_addresses < NAMES_MAX_ADDRESSES; place++) {
		struct record record;

		r = read_record(names, place, &record);
		if (r < 0)
			return r;
		if (strcmp(record.label, label) != 0)
			break;
		r = take_address(record.address, &host.addresses[host.n_addresses++]);
		if (r < 0)
			return r;
	}
	if (host.n_addresses == 0)
		return NAMES_NONE;
	strcpy(host.label, label); /* a record has it: it fits */
	*ret_host = host;
	return 0;
}

int names_find_address(const struct names *names, const struct ip_addr *addr,
		       char ret_label[NAMES_MAX_LABEL + 1])
{
	uint32_t low = 0, high = names->n_records;
	char wanted[INET6_ADDRSTRLEN];

	if (!inet_ntop(addr->family, addr->bytes, wanted, sizeof(wanted)))
		return NAMES_NONE;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		struct record record;
		int r = read_indexed(names, middle, &record);

		if (r < 0)
			return r;
		r = strcmp(record.address, wanted);
		if (r == 0) {
			memcpy(ret_label, record.label, sizeof(record.label));
			return 0;
		}
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NAMES_NONE;
}
