#include "coord/api/facts.h"

#include <errno.h>

#include "coord/registry/field.h"

/* A node does not say where it was seen. */
static const char *const said[] = {
	"hostname",	 "os",		"agent",     "ssh",
	"ssh_host_keys", "listen_port", "endpoints", "configured_endpoints",
};

/* Known facts as JSON, with those of body put over them. */
static int merge(const json_t *body, const struct node_facts *known, json_t **ret_merged)
{
	json_auto_t *merged = NULL;
	int r = known ? field_facts.write(known, &merged) : 0;

	if (r == 0 && !merged)
		merged = json_object();
	if (r == 0 && !merged)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(said); i++) {
		json_t *value = json_object_get(body, said[i]);

		if (value && json_object_set(merged, said[i], value) < 0)
			r = -ENOMEM;
	}
	if (r == 0)
		*ret_merged = take_ptr(merged);
	return r;
}

int facts_read(const json_t *body, const struct node_facts *known, const struct ip_addr *seen,
	       char **reterr_text, struct node_facts *ret_facts)
{
	_cleanup_(json_report_done) struct json_report report = { 0 };
	const struct json_at root = { 0 };
	struct node_facts facts = { 0 };
	json_auto_t *merged = NULL;
	int r = merge(body, known, &merged);

	if (r == 0)
		r = field_facts.read(merged, &root, &facts, &report);
	if (r < 0) {
		node_facts_done(&facts);
		if (r == -EINVAL)
			*reterr_text = take_ptr(report.text);
		return r;
	}
	if (seen)
		facts.seen = *seen;
	*ret_facts = facts;
	return 0;
}
