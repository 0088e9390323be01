/* The policy compiler without memory: no policy, rather than half of one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/golden.h"
#include "tests/unit/nomem.h"
#include "tests/unit/policy-fixture.h"

struct texts {
	char *policy, *network;
	char *filter; /* of the first node, as compiled with all the memory there is */
};

static int compile_all(const struct texts *texts, struct fixture *fx, struct policy_text *filter)
{
	char *problem = NULL;
	int r;

	r = policy_parse(texts->policy, strlen(texts->policy), &fx->problems, &fx->policy);
	if (r == 0)
		r = policy_network_parse(texts->network, strlen(texts->network), &problem,
					 &fx->network);
	if (r == 0)
		r = policy_engine_new(fx->policy, fx->network, &fx->engine);
	if (r == 0)
		r = policy_filter_json(fx->engine, 0, filter);
	if (r == 0)
		r = policy_ssh_json(fx->engine, 0, filter);
	free(problem);
	return r;
}

static int compile(void *userdata)
{
	struct texts *texts = userdata;
	struct policy_text filter = { 0 };
	struct fixture fx = { 0 };
	int r;

	nomem_begin();
	r = compile_all(texts, &fx, &filter);
	nomem_end();
	if (r == 0 && texts->filter)
		assert_string_equal(filter.data, texts->filter);
	policy_text_done(&filter);
	fixture_done(&fx);
	return r;
}

static void test_compile(void **state)
{
	struct policy_text filter = { 0 };
	struct fixture fx = { 0 };
	struct texts texts = {
		.policy = golden_read("policy/rules.hujson"),
		.network = golden_read("policy/network.json"),
	};

	assert_int_equal(compile_all(&texts, &fx, &filter), 0);
	texts.filter = strdup(filter.data);
	policy_text_done(&filter);
	fixture_done(&fx);
	nomem_try("a policy", compile, &texts);
	free(texts.policy);
	free(texts.network);
	free(texts.filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
