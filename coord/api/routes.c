#include "coord/api/internal.h"

#define AGENT_BODY (32u << 10)

static const struct http_route routes[] = {
	{ "GET", "/v1/coordinator", HTTP_ON_NETWORK | HTTP_ON_UNIX, 0, api_handle_coordinator },
	{ "POST", "/v1/enrol", HTTP_ON_NETWORK, AGENT_BODY, api_handle_enrol },
	{ "POST", "/v1/enrol/wait", HTTP_ON_NETWORK, AGENT_BODY, api_handle_enrol_wait },
	{ "POST", "/v1/node", HTTP_ON_NETWORK, AGENT_BODY, api_handle_node },
	{ "POST", "/v1/rotate", HTTP_ON_NETWORK, AGENT_BODY, api_handle_rotate },
	{ "POST", "/v1/logout", HTTP_ON_NETWORK, AGENT_BODY, api_handle_logout },
	{ "POST", "/v1/map", HTTP_ON_NETWORK, AGENT_BODY, api_handle_map },
};

const struct http_route *api_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
