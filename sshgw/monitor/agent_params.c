#include "sshgw/monitor/agent_params.h"

json_t *agent_authorize_params(const struct agent_link_config *config, const char *ssh_user)
{
	char peer[IP_ADDR_STRLEN], local[IP_ADDR_STRLEN];

	return json_pack("{s:s, s:i, s:s, s:s, s:s}", "address",
			 ip_addr_to_string(&config->peer.addr, peer), "port",
			 (int)config->peer.port, "localAddress",
			 ip_addr_to_string(&config->local, local), "sshUser", ssh_user,
			 "connection", config->connection);
}

json_t *agent_resume_params(const struct agent_link_config *config, const char *ssh_user,
			    const struct lease *lease)
{
	char peer[IP_ADDR_STRLEN], local[IP_ADDR_STRLEN];

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:{s:{s:b, s:b, s:b}, s:s*}, s:o*}",
		"leaseId", lease->id, "nodeId", lease->node_id, "nodeKey", lease->node_key,
		"address", ip_addr_to_string(&config->peer.addr, peer), "localAddress",
		ip_addr_to_string(&config->local, local), "sshUser", ssh_user, "localUser",
		lease->local_user, "nonroot", (int)lease->nonroot, "connection", config->connection,
		"options", "forwarding", "agent", (int)lease->forward_agent, "local",
		(int)lease->forward_local, "remote", (int)lease->forward_remote, "forceCommand",
		lease->force_command, "since",
		lease->since_usec ? json_integer((json_int_t)lease->since_usec) : NULL);
}
