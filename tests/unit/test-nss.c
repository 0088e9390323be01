/*
 * The NSS module, loaded as glibc loads it: answers in buffers of every size, in threads, in forked
 * children, with files missing and damaged. It differs from the installed one in where its file is.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/names.h"
#include "common/text.h"
#include "nss/module.h"

#define ENOUGH 4096
#define BAND   16

static struct {
	void *library;
	nss_gethostbyname4_r *byname4;
	nss_gethostbyname3_r *byname3;
	nss_gethostbyname2_r *byname2;
	nss_gethostbyname_r *byname;
	nss_gethostbyaddr2_r *byaddr2;
	nss_gethostbyaddr_r *byaddr;
} nss;

static char names_dir[] = "/tmp/test-nss-XXXXXX";

static void *symbol(const char *name)
{
	void *found = dlsym(nss.library, name);

	if (!found)
		fail_msg("%s", dlerror());
	return found;
}

static void write_names(void)
{
	const struct names_entry entries[] = {
		{ "server", { AF_INET, { 100, 64, 0, 1 } } },
		{ "server", { AF_INET6, { 0xfd, [15] = 1 } } },
		{ "server", { AF_INET, { 100, 64, 1, 1 } } },
		{ "four", { AF_INET, { 100, 64, 0, 4 } } },
		{ "six", { AF_INET6, { 0xfd, [15] = 6 } } },
	};
	_cleanup_free_ char *path = text_printf("%s/" NAMES_FILE, names_dir), *text = NULL;
	size_t len;

	assert_int_equal(names_format("mesh.example", entries, ARRAY_SIZE(entries), &text, &len),
			 0);
	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, len, 0644), 0);
}

static void remove_names(void)
{
	_cleanup_free_ char *path = text_printf("%s/" NAMES_FILE, names_dir);

	unlink(path);
}

static int load(void **state)
{
	nss.library = dlopen(getenv("TEST_NSS_MODULE"), RTLD_NOW | RTLD_LOCAL);
	if (!nss.library)
		fail_msg("%s", dlerror());
	nss.byname4 = symbol("_nss_peergate_gethostbyname4_r");
	nss.byname3 = symbol("_nss_peergate_gethostbyname3_r");
	nss.byname2 = symbol("_nss_peergate_gethostbyname2_r");
	nss.byname = symbol("_nss_peergate_gethostbyname_r");
	nss.byaddr2 = symbol("_nss_peergate_gethostbyaddr2_r");
	nss.byaddr = symbol("_nss_peergate_gethostbyaddr_r");
	assert_non_null(mkdtemp(names_dir));
	setenv("TEST_NAMES_DIR", names_dir, 1);
	return 0;
}

static int unload(void **state)
{
	remove_names();
	dlclose(nss.library);
	return rmdir(names_dir);
}

static int setup(void **state)
{
	write_names();
	return 0;
}

/* ---- every size of buffer ---- */

struct result {
	enum nss_status status;
	int error, h_error;
	struct hostent host;
	struct gaih_addrtuple *tuples;
	char *canonical;
	int32_t ttl;
};

typedef void (*question_fn)(char *buffer, size_t len, struct result *result);
typedef void (*check_fn)(const struct result *result);

/*
 * Ask with buffers that grow byte by byte from none, at every alignment, between bands that nothing
 * may touch: until it fits the answer has to be "too small", from then on always the same.
 */
static void ask_all_sizes(question_fn ask, check_fn check)
{
	static _Alignas(16) char memory[BAND + 16 + ENOUGH + BAND];

	for (size_t offset = 0; offset < 16; offset++) {
		char *buffer = memory + BAND + offset;
		size_t needed = 0;

		for (size_t len = 0; len < 600; len++) {
			struct result result = { .h_error = -7, .ttl = -7 };

			memset(memory, 0x55, sizeof(memory));
			errno = E2BIG;
			ask(buffer, len, &result);
			assert_int_equal(errno, E2BIG);
			for (size_t i = 0; i < sizeof(memory); i++)
				if (&memory[i] < buffer || &memory[i] >= buffer + len)
					assert_int_equal(memory[i], 0x55);
			if (result.status == NSS_STATUS_SUCCESS) {
				needed = needed ? needed : len;
				assert_int_equal(result.h_error, NETDB_SUCCESS);
				check(&result);
				continue;
			}
			assert_int_equal(needed, 0);
			assert_int_equal(result.status, NSS_STATUS_TRYAGAIN);
			assert_int_equal(result.error, ERANGE);
			assert_int_equal(result.h_error, NETDB_INTERNAL);
			assert_null(result.host.h_name);
			assert_null(result.tuples);
		}
		assert_true(needed > 0);
	}
}

static void check_aligned(const void *p, size_t align)
{
	assert_int_equal((uintptr_t)p % align, 0);
}

static void check_address(const void *bytes, size_t len, const char *expected)
{
	char text[IP_ADDR_STRLEN];
	struct ip_addr addr = { .family = len == 16 ? AF_INET6 : AF_INET };

	memcpy(addr.bytes, bytes, len);
	assert_string_equal(ip_addr_to_string(&addr, text), expected);
}

/* expected ends with NULL */
static void check_host(const struct hostent *host, const char *label, int family,
		       const char *const *expected)
{
	_cleanup_free_ char *full = text_printf("%s.mesh.example", label);
	size_t i;

	assert_string_equal(host->h_name, full);
	check_aligned(host->h_aliases, _Alignof(char *));
	assert_string_equal(host->h_aliases[0], label);
	assert_null(host->h_aliases[1]);
	assert_int_equal(host->h_addrtype, family);
	assert_int_equal(host->h_length, family == AF_INET6 ? 16 : 4);
	check_aligned(host->h_addr_list, _Alignof(char *));
	for (i = 0; expected[i]; i++) {
		check_aligned(host->h_addr_list[i], _Alignof(uint32_t));
		check_address(host->h_addr_list[i], (size_t)host->h_length, expected[i]);
	}
	assert_null(host->h_addr_list[i]);
}

static const char *const server4[] = { "100.64.0.1", "100.64.1.1", NULL };
static const char *const server6[] = { "fd00::1", NULL };
static const char *const server1[] = { "100.64.0.1", NULL };

static void ask_byname(char *buffer, size_t len, struct result *result)
{
	result->status =
		nss.byname("server", &result->host, buffer, len, &result->error, &result->h_error);
}

static void check_server4(const struct result *result)
{
	check_host(&result->host, "server", AF_INET, server4);
}

static void ask_byname2(char *buffer, size_t len, struct result *result)
{
	result->status = nss.byname2("SERVER.mesh.example", AF_INET6, &result->host, buffer, len,
				     &result->error, &result->h_error);
}

static void check_server6(const struct result *result)
{
	check_host(&result->host, "server", AF_INET6, server6);
}

static void ask_byname3(char *buffer, size_t len, struct result *result)
{
	result->status =
		nss.byname3("server.mesh.example.", AF_INET, &result->host, buffer, len,
			    &result->error, &result->h_error, &result->ttl, &result->canonical);
}

static void check_byname3(const struct result *result)
{
	check_server4(result);
	assert_int_equal(result->ttl, 0);
	assert_string_equal(result->canonical, "server.mesh.example");
}

static void ask_byname4(char *buffer, size_t len, struct result *result)
{
	result->status = nss.byname4("server", &result->tuples, buffer, len, &result->error,
				     &result->h_error, &result->ttl);
}

static void check_byname4(const struct result *result)
{
	static const char *const expected[] = { "100.64.0.1", "fd00::1", "100.64.1.1" };
	const struct gaih_addrtuple *tuple = result->tuples;

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++, tuple = tuple->next) {
		assert_non_null(tuple);
		check_aligned(tuple, _Alignof(struct gaih_addrtuple));
		assert_string_equal(tuple->name, "server.mesh.example");
		check_address(tuple->addr, tuple->family == AF_INET6 ? 16 : 4, expected[i]);
		assert_int_equal(tuple->scopeid, 0);
	}
	assert_null(tuple);
	assert_int_equal(result->ttl, 0);
}

static void ask_byaddr(char *buffer, size_t len, struct result *result)
{
	static const uint8_t addr[] = { 100, 64, 0, 1 };

	result->status = nss.byaddr(addr, 4, AF_INET, &result->host, buffer, len, &result->error,
				    &result->h_error);
}

static void check_byaddr(const struct result *result)
{
	check_host(&result->host, "server", AF_INET, server1);
}

static void ask_byaddr2(char *buffer, size_t len, struct result *result)
{
	static const uint8_t addr[16] = { 0xfd, [15] = 1 };

	result->status = nss.byaddr2(addr, 16, AF_INET6, &result->host, buffer, len, &result->error,
				     &result->h_error, &result->ttl);
}

static void check_byaddr2(const struct result *result)
{
	check_server6(result);
	assert_int_equal(result->ttl, 0);
}

static void test_every_size(void **state)
{
	ask_all_sizes(ask_byname, check_server4);
	ask_all_sizes(ask_byname2, check_server6);
	ask_all_sizes(ask_byname3, check_byname3);
	ask_all_sizes(ask_byname4, check_byname4);
	ask_all_sizes(ask_byaddr, check_byaddr);
	ask_all_sizes(ask_byaddr2, check_byaddr2);
}

/* An IPv4 peer on a socket of both families. */
static void test_mapped_address(void **state)
{
	static const uint8_t addr[16] = { [10] = 0xff, [11] = 0xff, 100, 64, 0, 1 };
	static const char *const expected[] = { "::ffff:100.64.0.1", NULL };
	_Alignas(16) char buffer[ENOUGH];
	struct result r = { 0 };

	assert_int_equal(nss.byaddr(addr, 16, AF_INET6, &r.host, buffer, sizeof(buffer), &r.error,
				    &r.h_error),
			 NSS_STATUS_SUCCESS);
	check_host(&r.host, "server", AF_INET6, expected);
}

/* getaddrinfo() passes an element of its own, and wants the list to begin there. */
static void test_callers_own_tuple(void **state)
{
	struct gaih_addrtuple own = { 0 }, *pat = &own;
	_Alignas(16) char buffer[ENOUGH];
	int error, h_error = 0;

	assert_int_equal(
		nss.byname4("server", &pat, buffer, sizeof(buffer), &error, &h_error, NULL),
		NSS_STATUS_SUCCESS);
	assert_ptr_equal(pat, &own);
	assert_string_equal(own.name, "server.mesh.example");
	assert_int_equal(own.next->family, AF_INET6);
}

/* ---- what is not answered ---- */

static struct result ask_name(const char *name, int af, int h_error)
{
	static _Alignas(16) char buffer[ENOUGH];
	struct result r = { .h_error = h_error };

	r.status = nss.byname3(name, af, &r.host, buffer, sizeof(buffer), &r.error, &r.h_error,
			       &r.ttl, &r.canonical);
	return r;
}

static void check_no(struct result r, enum nss_status status, int error, int h_error)
{
	assert_int_equal(r.status, status);
	assert_int_equal(r.error, error);
	assert_int_equal(r.h_error, h_error);
	assert_null(r.host.h_name);
}

static void test_not_found(void **state)
{
	static const char *const names[] = {
		"nobody",
		"github.com",
		"localhost",
		"server.example",
		"mesh.example",
		"",
		"server.mesh.example.org",
	};
	static const uint8_t addr[] = { 100, 64, 0, 9 };
	_Alignas(16) char buffer[ENOUGH];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct result r = { 0 };

		check_no(ask_name(names[i], AF_INET, 0), NSS_STATUS_NOTFOUND, ENOENT,
			 HOST_NOT_FOUND);
		r.status = nss.byname4(names[i], &r.tuples, buffer, sizeof(buffer), &r.error,
				       &r.h_error, &r.ttl);
		check_no(r, NSS_STATUS_NOTFOUND, ENOENT, HOST_NOT_FOUND);
		assert_null(r.tuples);
	}
	struct result r = { 0 };

	r.status =
		nss.byaddr(addr, 4, AF_INET, &r.host, buffer, sizeof(buffer), &r.error, &r.h_error);
	check_no(r, NSS_STATUS_NOTFOUND, ENOENT, HOST_NOT_FOUND);
}

static void test_no_address_of_the_family(void **state)
{
	check_no(ask_name("four", AF_INET6, 0), NSS_STATUS_NOTFOUND, ENOENT, NO_DATA);
	check_no(ask_name("six", AF_INET, 0), NSS_STATUS_NOTFOUND, ENOENT, NO_DATA);
	assert_int_equal(ask_name("six", AF_INET6, 0).status, NSS_STATUS_SUCCESS);
}

/* DNS was asked before us: what it could not find out is not "no such host" because of us. */
static void test_earlier_answers_stand(void **state)
{
	check_no(ask_name("github.com", AF_INET, TRY_AGAIN), NSS_STATUS_NOTFOUND, ENOENT,
		 TRY_AGAIN);
	check_no(ask_name("github.com", AF_INET, NO_DATA), NSS_STATUS_NOTFOUND, ENOENT, NO_DATA);
	check_no(ask_name("github.com", AF_INET, NETDB_INTERNAL), NSS_STATUS_NOTFOUND, ENOENT,
		 HOST_NOT_FOUND);
	remove_names();
	check_no(ask_name("github.com", AF_INET, TRY_AGAIN), NSS_STATUS_UNAVAIL, ENOENT, TRY_AGAIN);
	write_names();
	assert_int_equal(ask_name("server", AF_INET, TRY_AGAIN).h_error, NETDB_SUCCESS);
}

static void test_other_families(void **state)
{
	_Alignas(16) char buffer[ENOUGH];
	struct result r = { 0 };

	check_no(ask_name("server", AF_UNIX, 0), NSS_STATUS_UNAVAIL, EAFNOSUPPORT, HOST_NOT_FOUND);
	r.status =
		nss.byaddr("", 0, AF_UNIX, &r.host, buffer, sizeof(buffer), &r.error, &r.h_error);
	check_no(r, NSS_STATUS_UNAVAIL, EAFNOSUPPORT, HOST_NOT_FOUND);
	r.status = nss.byaddr("abc", 3, AF_INET, &r.host, buffer, sizeof(buffer), &r.error,
			      &r.h_error);
	check_no(r, NSS_STATUS_UNAVAIL, EINVAL, HOST_NOT_FOUND);
}

static void test_no_file(void **state)
{
	remove_names();
	check_no(ask_name("server", AF_INET, 0), NSS_STATUS_UNAVAIL, ENOENT, HOST_NOT_FOUND);
	write_names();
	assert_int_equal(ask_name("server", AF_INET, 0).status, NSS_STATUS_SUCCESS);
}

static void test_damaged_file(void **state)
{
	_cleanup_free_ char *path = text_printf("%s/" NAMES_FILE, names_dir);

	assert_int_equal(truncate(path, 100), 0);
	check_no(ask_name("server", AF_INET, 0), NSS_STATUS_UNAVAIL, EBADMSG, HOST_NOT_FOUND);
}

/* ---- processes of all kinds ---- */

static int lowest_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void test_no_fd_stays_open(void **state)
{
	int before = lowest_fd();

	for (size_t i = 0; i < 10; i++) {
		ask_name("server", AF_INET, 0);
		ask_name("nobody", AF_INET, 0);
	}
	test_damaged_file(state);
	assert_int_equal(lowest_fd(), before);
}

static void *ask_often(void *arg)
{
	for (size_t i = 0; i < 3000; i++) {
		_Alignas(16) char buffer[1024];
		struct result r = { 0 };

		ask_byname3(buffer, sizeof(buffer), &r);
		if (r.status != NSS_STATUS_SUCCESS || strcmp(r.host.h_name, "server.mesh.example"))
			return (void *)1;
	}
	return NULL;
}

/* While the agent replaces the file again and again. */
static void test_threads(void **state)
{
	pthread_t threads[4];
	void *failed;

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_often, NULL), 0);
	for (size_t i = 0; i < 50; i++)
		write_names();
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
}

static void *ask_while_cancelled(void *arg)
{
	_Alignas(16) char buffer[1024];
	struct result r = { 0 };

	pthread_cancel(pthread_self());
	ask_byname3(buffer, sizeof(buffer), &r);
	*(enum nss_status *)arg = r.status;
	pthread_testcancel();
	return NULL;
}

static void test_cancelled_thread(void **state)
{
	enum nss_status status = NSS_STATUS_UNAVAIL;
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, ask_while_cancelled, &status), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, PTHREAD_CANCELED);
	assert_int_equal(status, NSS_STATUS_SUCCESS);
}

/* Forked from a process with threads, where locks may be held by nobody. */
static void test_forked_child(void **state)
{
	pthread_t thread;
	int status;

	assert_int_equal(pthread_create(&thread, NULL, ask_often, NULL), 0);
	for (size_t i = 0; i < 20; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(ask_name("server", AF_INET6, 0).status == NSS_STATUS_SUCCESS ? 0 : 1);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_no_descriptors_left(void **state)
{
	struct rlimit limit, none;
	struct result r;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = ask_name("server", AF_INET, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	check_no(r, NSS_STATUS_TRYAGAIN, EMFILE, TRY_AGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_every_size, setup),
		cmocka_unit_test_setup(test_mapped_address, setup),
		cmocka_unit_test_setup(test_callers_own_tuple, setup),
		cmocka_unit_test_setup(test_not_found, setup),
		cmocka_unit_test_setup(test_no_address_of_the_family, setup),
		cmocka_unit_test_setup(test_earlier_answers_stand, setup),
		cmocka_unit_test_setup(test_other_families, setup),
		cmocka_unit_test_setup(test_no_file, setup),
		cmocka_unit_test_setup(test_damaged_file, setup),
		cmocka_unit_test_setup(test_no_fd_stays_open, setup),
		cmocka_unit_test_setup(test_threads, setup),
		cmocka_unit_test_setup(test_cancelled_thread, setup),
		cmocka_unit_test_setup(test_forked_child, setup),
		cmocka_unit_test_setup(test_no_descriptors_left, setup),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
