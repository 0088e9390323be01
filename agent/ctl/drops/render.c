#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "agent/ctl/drops/drops.h"
#include "agent/ctl/protocol.h"
#include "common/cleanup.h"
#include "common/cli/value.h"
#include "common/clock.h"
#include "common/text.h"

static void print_time(const json_t *drop, const struct cli_out *out)
{
	time_t when = (time_t)(value_number(drop, "time") / USEC_PER_SEC);
	struct tm tm;
	char text[16];

	if (!localtime_r(&when, &tm) || strftime(text, sizeof(text), "%H:%M:%S", &tm) == 0)
		return;
	cli_print(out, CLI_FAINT, "%s", text);
}

/* "laptop (100.64.0.2)", or the address alone. */
static int print_end(FILE *f, const json_t *drop, const char *addr_key, const char *node_key)
{
	_cleanup_free_ char *addr = value_shown(drop, addr_key);
	_cleanup_free_ char *node = value_shown(drop, node_key);

	if (!addr || !node)
		return -ENOMEM;
	if (json_object_get(drop, node_key))
		fprintf(f, "%s (%s)", node, addr);
	else
		fputs(addr, f);
	return 0;
}

/* "tcp/22"; "icmp" */
static void print_protocol(FILE *f, const json_t *drop)
{
	uint64_t number = value_number(drop, "protocol");
	const char *name = number <= UINT8_MAX ? protocol_name((uint8_t)number) : NULL;

	if (name)
		fprintf(f, " %s", name);
	else if (number)
		fprintf(f, " protocol %" PRIu64, number);
	if (json_object_get(drop, "destinationPort"))
		fprintf(f, "/%" PRIu64, value_number(drop, "destinationPort"));
}

static int print_packet(const json_t *drop, const char *reason, const struct cli_out *out)
{
	_cleanup_free_ char *hook = value_shown(drop, "hook");
	_cleanup_free_ char *interface = value_shown(drop, "interface");
	int r;

	if (!hook || !interface)
		return -ENOMEM;
	r = print_end(out->file, drop, "source", "sourceNode");
	fputs(" -> ", out->file);
	if (r == 0)
		r = print_end(out->file, drop, "destination", "destinationNode");
	print_protocol(out->file, drop);
	fprintf(out->file, ", %s %s: ", hook, interface);
	cli_print(out, CLI_BAD, "%s", reason);
	return r;
}

int drops_render(const json_t *drop, const struct cli_out *out)
{
	_cleanup_free_ char *reason = value_shown(drop, "reason");
	int r = 0;

	if (!reason)
		return -ENOMEM;
	print_time(drop, out);
	fputs("  ", out->file);
	if (json_object_get(drop, "suppressed"))
		cli_print(out, CLI_WARN, "%" PRIu64 " more not shown: %s",
			  value_number(drop, "suppressed"), reason);
	else
		r = print_packet(drop, reason, out);
	fputc('\n', out->file);
	return r;
}
