/* org.varlink.service: what every varlink service answers about itself. */
#include <string.h>

#include "common/varlink_conn.h"

static const char service_description[] =
	"# What every varlink service can be asked\n"
	"interface org.varlink.service\n"
	"\n"
	"# Who serves here, and which interfaces\n"
	"method GetInfo() -> (\n"
	"  vendor: string,\n"
	"  product: string,\n"
	"  version: string,\n"
	"  url: string,\n"
	"  interfaces: []string\n"
	")\n"
	"\n"
	"# The text of an interface description\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n"
	"\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error MethodNotImplemented (method: string)\n"
	"error InvalidParameter (parameter: string)\n"
	"error PermissionDenied ()\n"
	"error ExpectedMore ()\n";

static int get_info(struct varlink_call *call, const struct varlink_server *server)
{
	const struct varlink_info *info = server->info;

	return varlink_call_reply(call, json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor",
						  info->vendor, "product", info->product, "version",
						  info->version, "url", info->url, "interfaces",
						  "org.varlink.service", server->interface->name));
}

static int get_interface_description(struct varlink_call *call, const struct varlink_server *server,
				     const json_t *params)
{
	const char *name = json_string_value(json_object_get(params, "interface"));
	const char *description;

	if (!name)
		return varlink_call_invalid_parameter(call, "interface");
	if (strcmp(name, "org.varlink.service") == 0)
		description = service_description;
	else if (strcmp(name, server->interface->name) == 0)
		description = server->interface->description;
	else
		return varlink_call_error(call, "org.varlink.service.InterfaceNotFound",
					  json_pack("{s:s}", "interface", name));
	return varlink_call_reply(call, json_pack("{s:s}", "description", description));
}

int varlink_service_call(struct varlink_call *call, const struct varlink_server *server,
			 const char *method, const json_t *params)
{
	if (strcmp(method, "GetInfo") == 0)
		return get_info(call, server);
	if (strcmp(method, "GetInterfaceDescription") == 0)
		return get_interface_description(call, server, params);
	return varlink_call_error(call, "org.varlink.service.MethodNotFound",
				  json_pack("{s:s+}", "method", "org.varlink.service.", method));
}
