#include "coord/api/facts.h"

#include <errno.h>

#include "coord/registry/field.h"

/* A node does not say where it was seen. */
static const struct {
	const char *name;
	unsigned bit;
} said[] = {
	{ "hostname", FACT_HOSTNAME },
	{ "os", FACT_OS },
	{ "agent", FACT_AGENT },
	{ "ssh", FACT_SSH },
	{ "ssh_host_keys", FACT_SSH_HOST_KEYS },
	{ "endpoints", FACT_ENDPOINTS },
	{ "configured_endpoints", FACT_CONFIGURED },
	{ "listen_port", FACT_LISTEN_PORT },
};

static json_t *pick(const json_t *body, unsigned *ret_given)
{
	json_t *picked = json_object();

	*ret_given = 0;
	for (size_t i = 0; picked && i < ARRAY_SIZE(said); i++) {
		json_t *value = json_object_get(body, said[i].name);

		if (!value)
			continue;
		*ret_given |= said[i].bit;
		if (json_object_set(picked, said[i].name, value) < 0) {
			json_decref(picked);
			return NULL;
		}
	}
	return picked;
}

int facts_read(const json_t *body, const struct ip_addr *seen, char **reterr_text,
	       struct node_facts *ret_facts, unsigned *ret_given)
{
	_cleanup_(json_report_done) struct json_report report = { 0 };
	const struct json_at root = { 0 };
	struct node_facts facts = { 0 };
	unsigned given;
	json_auto_t *picked = pick(body, &given);
	int r = picked ? field_facts.read(picked, &root, &facts, &report) : -ENOMEM;

	if (r < 0) {
		node_facts_done(&facts);
		if (r == -EINVAL)
			*reterr_text = take_ptr(report.text);
		return r;
	}
	if (seen)
		facts.seen = *seen;
	*ret_facts = facts;
	*ret_given = given;
	return 0;
}
