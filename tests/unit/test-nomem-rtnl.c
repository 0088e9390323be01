/* Link, addresses and routes without memory: what was not done is done next time. Needs root. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/netns.h"
#include "tests/unit/nomem.h"
#include "tests/unit/rtnl-state.h"

static struct rtnl *steady; /* puts things back */

static int make(void *userdata)
{
	struct rtnl_link_state link;
	struct rtnl *rtnl = NULL;
	int r, found = 0;

	assert_int_equal(rtnl_state_clear(steady), 0);
	nomem_begin();
	r = rtnl_open(&rtnl);
	if (r == 0)
		found = rtnl_find_marked_link(rtnl, 0, &link);
	if (r == 0)
		r = rtnl_state_make(rtnl, NULL);
	rtnl_free(rtnl);
	nomem_end();
	if (r == 0)
		rtnl_state_assert();
	/* It is no link of WireGuard's. */
	if (r == 0 && found != -ENODEV)
		return found;
	assert_int_equal(rtnl_state_make(steady, NULL), 0);
	return r;
}

static void test_everything(void **state)
{
	nomem_try("link, addresses and routes", make, NULL);
	rtnl_state_assert();
}

static int setup(void **state)
{
	run("ip link add " STATE_LINK " type veth peer name far0");
	return rtnl_open(&steady);
}

static int teardown(void **state)
{
	rtnl_free(steady);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything),
	};

	if (!netns_enter())
		return NETNS_SKIP;
	return cmocka_run_group_tests(tests, setup, teardown);
}
