/*
 * The coordinator may be killed at any moment: what it has acknowledged is there when it starts
 * again, what it has not is there wholly or not at all, and revisions only rise.
 *
 * A child opens the store, changes it, and reports each answer through a pipe. It is traced, and
 * killed before or after a random system call that changes something: so the points lie in the
 * opening, the recovery from the last kill, commits, checkpoints and the closing as well. (For the
 * files nothing happens between two system calls.) test-store-power is about losing more than the
 * process.
 *
 * KILL_POINTS=N: so many; else 1,000. KILL_SEED=N: as another run, which printed N.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/store/sqlite.h"
#include "tests/unit/scratch.h"

#define N_SLOTS	     8
#define SYSCALL_STOP (SIGTRAP | 0x80)
#define MAX_PADDING  100000

static char *folder, *db_path, *copy_path;

static unsigned below(unsigned n)
{
	return (unsigned)random() % n;
}

/* ---- what the child does ---- */

/* One transaction: the pair of keys of a slot gets this number, or goes. */
struct step {
	uint32_t slot, number; /* 0: delete */
	uint32_t padding;
	bool done; /* it was answered: with revision */
	uint64_t revision;
};

struct child {
	int report_fd;
	struct step *step;
};

static void report(struct child *child)
{
	if (write(child->report_fd, child->step, sizeof(*child->step)) != sizeof(*child->step))
		_exit(3);
}

static void on_answer(const struct store_answer *answer, void *userdata)
{
	struct child *child = userdata;

	if (answer->status < 0) {
		fprintf(stderr, "%s\n", answer->text);
		_exit(4);
	}
	child->step->done = true;
	child->step->revision = answer->revision;
	report(child);
}

static void do_step(struct store *store, struct child *child)
{
	static char value[MAX_PADDING + 16];
	const struct step *step = child->step;
	size_t len = (size_t)snprintf(value, sizeof(value), "%08x", step->number) + step->padding;
	char key_a[16], key_b[16];
	struct store_op ops[] = { { key_a, value, len }, { key_b, value, len } };

	snprintf(key_a, sizeof(key_a), "a/%u", step->slot);
	snprintf(key_b, sizeof(key_b), "b/%u", step->slot);
	if (step->number == 0)
		ops[0] = ops[1] = (struct store_op){ NULL };
	ops[0].key = key_a;
	ops[1].key = key_b;
	report(child);
	if (store_txn(store, NULL, 0, ops, 2, on_answer, child) < 0)
		_exit(5);
}

static struct step random_step(uint32_t *number, bool heavy)
{
	struct step step = {
		.slot = below(N_SLOTS),
		.number = below(6) ? ++*number : 0,
		.padding = below(heavy ? MAX_PADDING : 2000),
	};

	return step;
}

/* heavy: the log grows so that it is brought into the file, and begins anew, on the way. */
static void live(uint32_t number, bool heavy, int report_fd)
{
	struct child child = { .report_fd = report_fd };
	struct store *store = NULL;
	char *error = NULL;

	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	if (store_sqlite_open(db_path, STORE_CREATE, &error, &store) < 0) {
		fprintf(stderr, "%s\n", error);
		_exit(2);
	}
	for (unsigned n = below(25); n > 0; n--) {
		struct step step = random_step(&number, heavy);

		child.step = &step;
		do_step(store, &child);
	}
	store_free(store);
	_exit(0);
}

/* Of a system call, when it begins and when it ends: can it change a file, or tell the parent? */
static bool is_change(pid_t pid)
{
	static uint64_t number;
	struct __ptrace_syscall_info info;

	assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0);
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		number = info.entry.nr;
	switch (number) {
	case SYS_openat:
	case SYS_write:
	case SYS_pwrite64:
	case SYS_ftruncate:
	case SYS_fsync:
	case SYS_fdatasync:
	case SYS_unlinkat:
#ifdef SYS_unlink
	case SYS_unlink:
#endif
		return true;
	default:
		return false;
	}
}

/* Let it go on to its stop number n. Return: whether it was killed there; else it has ended. */
static bool run_to(pid_t pid, unsigned n)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	while (n > 0) {
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
		assert_true(WIFSTOPPED(status));
		if (WSTOPSIG(status) == SYSCALL_STOP && is_change(pid))
			n--;
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return true;
}

/* ---- what has to be there then ---- */

struct known {
	uint32_t number; /* 0: nothing */
	uint64_t revision;
};

static struct {
	struct known slots[N_SLOTS];
	uint64_t revision;    /* the last one acknowledged, or seen */
	uint32_t last_number; /* ever used */
	struct step open;     /* begun, not answered */
	bool has_open;
	unsigned n_steps, n_kept, n_gone; /* open ones that did happen, and that did not */
} expected;

static void expect(const struct step *step, uint64_t revision)
{
	struct known *slot = &expected.slots[step->slot];

	/* Of nothing nothing can be deleted: the revision is the one before. */
	if (step->number == 0 && slot->number == 0 && expected.revision > 0)
		return;
	*slot = (struct known){ step->number, revision };
	expected.revision = revision;
}

static void read_reports(int fd)
{
	struct step step;

	expected.has_open = false;
	while (read(fd, &step, sizeof(step)) == sizeof(step)) {
		expected.has_open = !step.done;
		expected.open = step;
		if (step.number > expected.last_number)
			expected.last_number = step.number;
		if (!step.done)
			continue;
		expected.n_steps++;
		assert_true(step.revision >= expected.revision);
		expect(&step, step.revision);
		assert_int_equal(step.revision, expected.revision);
	}
}

struct sight {
	const char *prefix;
	struct known slots[N_SLOTS];
};

static void on_list(const struct store_answer *answer, void *userdata)
{
	struct sight *sight = userdata;

	if (answer->status < 0)
		fail_msg("%s", answer->text);
	for (size_t i = 0; i < answer->n_entries; i++) {
		const struct store_entry *entry = &answer->entries[i];
		char text[9] = "";
		unsigned slot = (unsigned)entry->key[2] - '0';

		assert_in_range(slot, 0, N_SLOTS - 1);
		assert_true(entry->len >= 8);
		memcpy(text, entry->value, 8);
		sight->slots[slot] =
			(struct known){ (uint32_t)strtoul(text, NULL, 16), entry->revision };
	}
}

static struct sight look(struct store *store, const char *prefix)
{
	struct sight sight = { .prefix = prefix };

	assert_int_equal(store_list(store, prefix, NULL, 100, on_list, &sight), 0);
	return sight;
}

static void on_change(uint64_t revision, const struct store_entry *changes, size_t n_changes,
		      void *userdata)
{
	uint64_t *last = userdata;

	/* Both keys, or none. */
	assert_int_equal(n_changes, 2);
	assert_int_equal(changes[0].key[0], 'a');
	assert_int_equal(changes[1].key[0], 'b');
	assert_int_equal(changes[0].len, changes[1].len);
	assert_int_equal(revision, *last + 1);
	*last = revision;
}

static void on_lost(void *userdata)
{
	fail_msg("the log does not go back as far as it says");
}

/* The log tells of all revisions, each once. */
static void check_log(struct store *store)
{
	struct store_watch *watch = NULL;
	uint64_t last = store_oldest(store);

	assert_int_equal(store_watch(store, "", last, on_change, on_lost, &last, &watch), 0);
	assert_int_equal(last, store_revision(store));
	store_watch_free(watch);
}

static void check_store(const char *path, const char *where)
{
	struct store *store = NULL;
	struct sight a, b;
	char *error = NULL;

	if (store_sqlite_open(path, STORE_CREATE, &error, &store) < 0)
		fail_msg("%s: %s", where, error);
	/* Killed before the first answer of a new store. */
	if (expected.revision == 0)
		expected.revision = store_oldest(store);
	/* What was begun may have happened, then with the next revision. */
	if (expected.has_open && store_revision(store) == expected.revision + 1) {
		expect(&expected.open, expected.revision + 1);
		expected.n_kept++;
	} else if (expected.has_open) {
		expected.n_gone++;
	}
	expected.has_open = false;
	if (store_revision(store) != expected.revision)
		fail_msg("%s: revision %llu; acknowledged: %llu", where,
			 (unsigned long long)store_revision(store),
			 (unsigned long long)expected.revision);
	a = look(store, "a/");
	b = look(store, "b/");
	for (unsigned i = 0; i < N_SLOTS; i++) {
		const struct known *slot = &expected.slots[i];

		if (memcmp(&a.slots[i], &b.slots[i], sizeof(*slot)) != 0)
			fail_msg("%s: half a transaction in slot %u", where, i);
		if (a.slots[i].number != slot->number ||
		    (slot->number && a.slots[i].revision != slot->revision))
			fail_msg("%s: slot %u has %u, not %u", where, i, a.slots[i].number,
				 slot->number);
	}
	check_log(store);
	store_free(store);
}

/*
 * Look at a copy, now and then: so the next child finds the files as the last one left them. Not
 * if nothing is known of the first revision yet: the copy might begin with another than they.
 */
static void check(unsigned number)
{
	_cleanup_free_ char *where = text_printf("kill %u", number);
	_cleanup_free_ char *copy = text_printf("cd %s && for f in store.db store.db-*; do "
						"[ ! -e $f ] || cp $f copy${f#store}; done",
						folder);
	_cleanup_free_ char *clean = text_printf("rm -f %s/copy*", folder);

	if (expected.revision > 0 && below(3) == 0) {
		assert_int_equal(system(copy), 0);
		check_store(copy_path, where);
		assert_int_equal(system(clean), 0);
	} else {
		check_store(db_path, where);
	}
}

/* ---- */

/* A store that is new, again: its making has points too. */
static void start_over(void)
{
	scratch_empty(folder);
	memset(expected.slots, 0, sizeof(expected.slots));
	expected.revision = 0;
}

static bool kill_once(unsigned number)
{
	const bool heavy = below(25) == 0;
	int report_fds[2];
	bool killed;
	pid_t pid;

	assert_int_equal(pipe2(report_fds, O_CLOEXEC), 0);
	/* All reports of a life fit, so that nobody waits. */
	assert_true(fcntl(report_fds[1], F_SETPIPE_SZ, 1 << 16) > 0);
	pid = fork();
	if (pid == 0)
		live(expected.last_number, heavy, report_fds[1]);
	close(report_fds[1]);
	killed = run_to(pid, 1 + below(heavy ? 4000 : 500));
	read_reports(report_fds[0]);
	close(report_fds[0]);
	check(number);
	return killed;
}

static unsigned setting(const char *name, unsigned fallback)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : fallback;
}

static void test_kill(void **state)
{
	unsigned n = setting("KILL_POINTS", 1000),
		 seed = setting("KILL_SEED", (unsigned)time(NULL));
	unsigned n_lives = 0;

	srandom(seed);
	print_message("%u kill points, KILL_SEED=%u\n", n, seed);
	for (unsigned i = 0; i < n; n_lives++) {
		if (below(30) == 0)
			start_over();
		i += kill_once(i);
	}
	print_message(
		"%u lives, %u transactions acknowledged; of those begun %u were kept, %u gone\n",
		n_lives, expected.n_steps, expected.n_kept, expected.n_gone);
	/* Else the points were not where they matter. */
	assert_true(n < 100 || (expected.n_kept > 0 && expected.n_gone > 0));
}

static int set_up(void **state)
{
	folder = scratch_new();
	db_path = text_printf("%s/store.db", folder);
	copy_path = text_printf("%s/copy.db", folder);
	return 0;
}

static int tear_down(void **state)
{
	free(db_path);
	free(copy_path);
	folder = scratch_remove(folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_kill) };

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
