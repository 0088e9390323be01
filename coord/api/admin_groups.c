/* Groups of providers that are groups of the policy. */
#include "coord/api/admin.h"

static json_t *mapping_json(const struct api *api, size_t i)
{
	const struct registry_mapping *mapping = registry_mapping_at(api->registry, i);

	return json_pack("{s:s, s:s, s:s}", "group", mapping->group, "issuer", mapping->issuer,
			 "value", mapping->value);
}

int admin_groups_list(struct admin_call *call)
{
	return admin_call_answer(call, 200,
				 admin_list_json(call->api, "groups",
						 registry_n_mappings(call->api->registry),
						 mapping_json));
}
