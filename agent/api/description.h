/* The text of agent/api/io.peergate.Agent.varlink, embedded by varlink-embed.py. */
#pragma once

extern const char api_description[];
