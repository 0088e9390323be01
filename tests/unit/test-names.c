/* The names file: what is written is found again, and nothing else; files that lie are refused. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/names.h"
#include "common/file.h"
#include "common/names.h"
#include "common/text.h"
#include "tests/unit/golden.h"

#define RECORDS_AT NAMES_HEADER_LEN

static struct ip_addr address(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

static int make_file(const char *data, size_t len)
{
	int fd = memfd_create("names", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	return fd;
}

/* Return: like names_open_fd(); on failure the file is gone. */
static int open_data(const char *data, size_t len, struct names *names)
{
	int fd = make_file(data, len);
	int r = names_open_fd(fd, names);

	if (r < 0)
		close(fd);
	return r;
}

static void open_entries(const struct names_entry *entries, size_t n, struct names *names)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	assert_int_equal(names_format("mesh.example", entries, n, &text, &len), 0);
	assert_int_equal(strlen(text), len);
	assert_int_equal(open_data(text, len, names), 0);
}

static struct netmap *parse_map(const char *name)
{
	_cleanup_free_ char *document = golden_read(name), *error = NULL;
	struct netmap *map = NULL;

	if (netmap_parse(document, strlen(document), name, &error, &map) < 0)
		fail_msg("%s", error);
	return map;
}

static void test_golden(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = parse_map("netmap-full.json");
	_cleanup_free_ char *text = NULL;
	size_t len;

	assert_int_equal(names_of_map(map, &text, &len), 0);
	assert_int_equal(strlen(text), len);
	golden_check("names.golden", text);
}

/* What known_hosts knows by name, and this node itself, has an address, also with an expired key.
 */
static void test_every_node_is_found(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = parse_map("netmap-full.json");
	_cleanup_free_ char *text = NULL;
	struct names names;
	size_t len;

	map->peers[0].key_expiry = 1;
	assert_int_equal(names_of_map(map, &text, &len), 0);
	assert_int_equal(open_data(text, len, &names), 0);
	assert_string_equal(names.domain, map->domain);
	for (size_t i = 0; i <= map->n_peers; i++) {
		const struct netmap_node *node = i < map->n_peers ? &map->peers[i] : &map->self;
		char label[NAMES_MAX_LABEL + 1];
		struct names_host host;

		assert_int_equal(names_find(&names, node->name, &host), 0);
		assert_int_equal(host.n_addresses, node->n_addresses);
		for (size_t k = 0; k < node->n_addresses; k++) {
			assert_true(ip_addr_equal(&host.addresses[k], &node->addresses[k]));
			assert_int_equal(names_find_address(&names, &node->addresses[k], label), 0);
			assert_string_equal(label, node->name);
		}
	}
	names_close(&names);
}

static void test_no_entries(void **state)
{
	struct ip_addr addr = address("100.64.0.1");
	char label[NAMES_MAX_LABEL + 1];
	struct names_host host;
	struct names names;

	open_entries(NULL, 0, &names);
	assert_int_equal(names_find(&names, "server", &host), NAMES_NONE);
	assert_int_equal(names_find_address(&names, &addr, label), NAMES_NONE);
	names_close(&names);
}

/* Many hosts: each is found by name and address, what lies between, before and behind is not. */
static void test_many(void **state)
{
	enum { N = 2000 };
	_cleanup_free_ struct names_entry *entries = calloc(2 * N, sizeof(*entries));
	static char labels[N][16];
	char label[NAMES_MAX_LABEL + 1];
	struct names_host host;
	struct names names;

	for (size_t i = 0; i < N; i++) {
		struct ip_addr v4 = { AF_INET, { 100, 64, (uint8_t)(i >> 8), (uint8_t)i } };
		struct ip_addr v6 = { AF_INET6, { 0xfd, 0, 0, (uint8_t)(i >> 8), (uint8_t)i } };

		/* Not in their order. */
		snprintf(labels[i], sizeof(labels[i]), "h%zu", (i * 7919) % N);
		entries[2 * i] = (struct names_entry){ labels[i], v6 };
		entries[2 * i + 1] = (struct names_entry){ labels[i], v4 };
	}
	open_entries(entries, 2 * N, &names);
	for (size_t i = 0; i < 2 * N; i++) {
		assert_int_equal(names_find(&names, entries[i].label, &host), 0);
		assert_int_equal(host.n_addresses, 2);
		assert_true(ip_addr_equal(&host.addresses[i % 2], &entries[i].addr));
		assert_int_equal(names_find_address(&names, &entries[i].addr, label), 0);
		assert_string_equal(label, entries[i].label);
	}
	assert_int_equal(names_find(&names, "a", &host), NAMES_NONE);
	assert_int_equal(names_find(&names, "h12345", &host), NAMES_NONE);
	assert_int_equal(names_find(&names, "h100x", &host), NAMES_NONE);
	assert_int_equal(names_find(&names, "z", &host), NAMES_NONE);
	names_close(&names);
}

static void test_longest(void **state)
{
	static const char label[] =
		"abcdefghij-abcdefghij-abcdefghij-abcdefghij-abcdefghij-abcdefgh";
	const char *longest = "1111:2222:3333:4444:5555:6666:7777:8888";
	struct names_entry entries[NAMES_MAX_ADDRESSES];
	struct names_host host;
	struct names names;

	assert_int_equal(strlen(label), NAMES_MAX_LABEL);
	assert_int_equal(strlen(longest), NAMES_ADDRESS_LEN);
	for (size_t i = 0; i < NAMES_MAX_ADDRESSES; i++) {
		entries[i] = (struct names_entry){ label, address(longest) };
		entries[i].addr.bytes[15] ^= (uint8_t)i;
	}
	open_entries(entries, NAMES_MAX_ADDRESSES, &names);
	assert_int_equal(names_find(&names, label, &host), 0);
	assert_int_equal(host.n_addresses, NAMES_MAX_ADDRESSES);
	assert_string_equal(host.label, label);
	names_close(&names);
}

static void test_which_names_are_the_meshs(void **state)
{
	static const struct {
		const char *name, *label; /* NULL: none */
	} cases[] = {
		{ "server", "server" },
		{ "SerVer", "server" },
		{ "server.mesh.example", "server" },
		{ "server.mesh.example.", "server" },
		{ "SERVER.Mesh.EXAMPLE", "server" },
		{ "100", "100" },
		{ "a--b", "a--b" },
		{ "server.", NULL },
		{ "server..", NULL },
		{ "server.mesh.example..", NULL },
		{ "server.mesh", NULL },
		{ "server.mesh.exampl", NULL },
		{ "server.mesh.examples", NULL },
		{ "server.mesh.example.org", NULL },
		{ "server.amesh.example", NULL },
		{ "a.server.mesh.example", NULL },
		{ "mesh.example", NULL },
		{ ".mesh.example", NULL },
		{ "", NULL },
		{ ".", NULL },
		{ "-server", NULL },
		{ "server-", NULL },
		{ "ser_ver", NULL },
		{ "ser ver", NULL },
		{ "ser\nver", NULL },
		{ "s\xc3\xa4rver", NULL },
		{ "localhost", NULL },
		{ "LocalHost.mesh.example", NULL },
		{ "github.com", NULL },
		{ "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg",
		  "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg" },
		{ "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg", NULL },
	};
	struct names names;

	open_entries(NULL, 0, &names);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char label[NAMES_MAX_LABEL + 1] = "";
		int r = names_label(&names, cases[i].name, label);

		if (r != (cases[i].label ? 0 : NAMES_NONE))
			fail_msg("\"%s\": %d", cases[i].name, r);
		assert_string_equal(label, cases[i].label ? cases[i].label : "");
	}
	names_close(&names);
}

/* ---- files that lie ---- */

static char *good_text(size_t *ret_len)
{
	const struct names_entry entries[] = {
		{ "laptop", address("100.64.0.2") },
		{ "server", address("100.64.0.1") },
	};
	char *text = NULL;

	assert_int_equal(names_format("mesh.example", entries, 2, &text, ret_len), 0);
	return text;
}

static void test_headers_refused(void **state)
{
	const size_t domain = NAMES_MAGIC_LEN + 1, count = domain + NAMES_MAX_DOMAIN + 1;
	const struct {
		size_t at;
		const char *bytes;
	} cases[] = {
		{ 0, "p\xffp" },
		{ NAMES_MAGIC_LEN - 1, "2" },
		{ NAMES_MAGIC_LEN, "\t" },
		{ domain, " " },
		{ domain, "com          " },
		{ domain, "mesh..ex" },
		{ domain, "-esh" },
		{ domain, "Mesh" },
		{ domain, "mesh/" },
		{ domain + 20, "x" },
		{ domain + NAMES_MAX_DOMAIN, "x" },
		{ count, "00000001" },
		{ count, "00000003" },
		{ count, "99999999" },
		{ count, "-0000002" },
		{ count, "0x000002" },
		{ count, "      02" },
		{ count + NAMES_NUMBER_LEN, " " },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct names names;
		size_t len;
		_cleanup_free_ char *text = good_text(&len);

		memcpy(text + cases[i].at, cases[i].bytes, strlen(cases[i].bytes));
		if (open_data(text, len, &names) != -EBADMSG)
			fail_msg("case %zu", i);
	}
}

static void test_truncated(void **state)
{
	size_t len;
	_cleanup_free_ char *text = good_text(&len);
	struct names names;

	for (size_t n = 0; n < len; n++)
		assert_int_equal(open_data(text, n, &names), -EBADMSG);
	assert_int_equal(open_data(text, len, &names), 0);
	/* Truncated in place, while it is open: by nobody we know, but no reason to crash. */
	assert_int_equal(ftruncate(names.fd, RECORDS_AT + 10), 0);
	assert_int_equal(names_find(&names, "server", &(struct names_host){ 0 }), -EBADMSG);
	names_close(&names);
}

static void test_records_refused(void **state)
{
	const size_t second = RECORDS_AT + NAMES_RECORD_LEN, index = second + NAMES_RECORD_LEN;
	const struct {
		size_t at;
		const char *bytes;
		bool by_address; /* asked by address, not by name */
	} cases[] = {
		{ second, "Server", false },
		{ second, "ser\033er", false },
		{ second, "server x", false },
		{ second, "       ", false },
		{ second + NAMES_MAX_LABEL, "x", false },
		{ second + NAMES_MAX_LABEL + 1, "100.64.0.256", false },
		{ second + NAMES_MAX_LABEL + 1, "100.64.0.1 ::", false },
		{ second + NAMES_MAX_LABEL + 1, "fd00:::1  ", false },
		{ second + NAMES_RECORD_LEN - 1, " ", false },
		{ index, "00000002", true },
		{ index, "99999999", true },
		{ index, "0000000x", true },
		{ index + NAMES_NUMBER_LEN, " ", true },
	};
	struct ip_addr addr = address("100.64.0.1");
	char label[NAMES_MAX_LABEL + 1];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct names_host host;
		struct names names;
		size_t len;
		_cleanup_free_ char *text = good_text(&len);
		int r;

		memcpy(text + cases[i].at, cases[i].bytes, strlen(cases[i].bytes));
		assert_int_equal(open_data(text, len, &names), 0);
		r = cases[i].by_address ? names_find_address(&names, &addr, label)
					: names_find(&names, "server", &host);
		names_close(&names);
		if (r != -EBADMSG)
			fail_msg("case %zu: %d", i, r);
	}
}

/* More records of one name than a node can have: the first ones, and an end. */
static void test_too_many_addresses(void **state)
{
	struct names_entry entries[3 * NAMES_MAX_ADDRESSES];
	struct names_host host;
	struct names names;

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		entries[i] =
			(struct names_entry){ "server", { AF_INET, { 100, 64, 0, (uint8_t)i } } };
	open_entries(entries, ARRAY_SIZE(entries), &names);
	assert_int_equal(names_find(&names, "server", &host), 0);
	assert_int_equal(host.n_addresses, NAMES_MAX_ADDRESSES);
	assert_int_equal(host.addresses[0].bytes[3], 0);
	names_close(&names);
}

/* ---- whom to trust ---- */

static void put_file(const char *dir, mode_t mode)
{
	_cleanup_free_ char *path = text_printf("%s/" NAMES_FILE, dir);
	size_t len;
	_cleanup_free_ char *text = good_text(&len);

	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, len, mode), 0);
}

static int try_open(const char *dir)
{
	struct names names;
	int r = names_open(dir, &names);

	if (r == 0)
		names_close(&names);
	return r;
}

static void test_trust(void **state)
{
	char dir[] = "/tmp/test-names-XXXXXX";
	_cleanup_free_ char *path = NULL, *link = NULL, *command = NULL;

	assert_non_null(mkdtemp(dir));
	path = text_printf("%s/" NAMES_FILE, dir);
	link = text_printf("%s/link", dir);
	command = text_printf("rm -rf %s", dir);
	assert_int_equal(try_open(dir), -ENOENT);
	put_file(dir, 0644);
	assert_int_equal(try_open(dir), 0);

	assert_int_equal(chmod(path, 0664), 0);
	assert_int_equal(try_open(dir), -EPERM);
	assert_int_equal(chmod(path, 0646), 0);
	assert_int_equal(try_open(dir), -EPERM);
	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(try_open(dir), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(try_open(dir), -EPERM);
	assert_int_equal(chmod(dir, 0755), 0);

	assert_int_equal(symlink(dir, link), 0);
	assert_int_equal(try_open(link), -ENOTDIR);
	assert_int_equal(rename(path, link), 0);
	assert_int_equal(symlink("link", path), 0);
	assert_int_equal(try_open(dir), -ELOOP);
	assert_int_equal(unlink(path), 0);
	/* Does not hang. */
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_int_equal(try_open(dir), -EBADMSG);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(try_open(dir), -EBADMSG);
	assert_int_equal(system(command), 0);
}

/* The agent's directory belongs to the agent; root's file in it will do, anybody else's will not.
 */
static void test_owner(void **state)
{
	char dir[] = "/tmp/test-names-XXXXXX";
	_cleanup_free_ char *path = NULL, *command = NULL;

	if (getuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	path = text_printf("%s/" NAMES_FILE, dir);
	command = text_printf("rm -rf %s", dir);
	put_file(dir, 0644);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chown(dir, 990, 990), 0);
	assert_int_equal(try_open(dir), 0);
	assert_int_equal(chown(path, 990, 990), 0);
	assert_int_equal(try_open(dir), 0);
	assert_int_equal(chown(path, 991, 990), 0);
	assert_int_equal(try_open(dir), -EPERM);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_every_node_is_found),
		cmocka_unit_test(test_no_entries),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_which_names_are_the_meshs),
		cmocka_unit_test(test_headers_refused),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_records_refused),
		cmocka_unit_test(test_too_many_addresses),
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
