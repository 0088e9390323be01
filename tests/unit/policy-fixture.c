#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "coord/policy/text.h"
#include "tests/unit/golden.h"
#include "tests/unit/policy-fixture.h"

void fixture_done(struct fixture *fx)
{
	policy_engine_free(fx->engine);
	policy_free(fx->policy);
	policy_network_free(fx->network);
	policy_problems_done(&fx->problems);
	free(fx->text);
	*fx = (struct fixture){ 0 };
}

struct policy_network *fixture_network(const char *name)
{
	_cleanup_free_ char *text = golden_read(name), *error = NULL;
	struct policy_network *network = NULL;

	if (policy_network_parse(text, strlen(text), &error, &network) < 0)
		fail_msg("%s: %s", name, error);
	return network;
}

void fixture_load_text(struct fixture *fx, const char *policy_text)
{
	int r = policy_parse(policy_text, strlen(policy_text), &fx->problems, &fx->policy);

	if (r < 0)
		fail_msg("refused: %s", fx->problems.n ? fx->problems.items[0].text : strerror(-r));
	fx->network = fixture_network("policy/network.json");
	assert_int_equal(policy_engine_new(fx->policy, fx->network, &fx->engine), 0);
}

void fixture_load(struct fixture *fx, const char *policy_name)
{
	fx->text = golden_read(policy_name);
	fixture_load_text(fx, fx->text);
}

char *fixture_problems(const struct policy_problems *problems)
{
	struct policy_text out = { 0 };

	for (size_t i = 0; i < problems->n; i++) {
		_cleanup_free_ char *line = policy_problem_format(&problems->items[i]);

		policy_text_printf(
			&out, "%s %s\n",
			problems->items[i].severity == POLICY_ERROR ? "error" : "warning", line);
	}
	return policy_text_take(&out);
}

uint32_t fixture_node(const struct fixture *fx, const char *name)
{
	uint32_t index = 0;

	assert_int_equal(policy_engine_find(fx->engine, name, &index), 0);
	return index;
}
