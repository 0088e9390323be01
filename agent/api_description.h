/* The text of agent/io.peergate.Agent.varlink, embedded by varlink-embed.py. */
#pragma once

extern const char api_description[];
