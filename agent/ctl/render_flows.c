#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "agent/ctl/protocol.h"
#include "agent/ctl/render_explain.h"
#include "agent/ctl/rule_name.h"
#include "common/cli/value.h"
#include "common/text.h"

static enum cli_style verdict_style(const char *verdict)
{
	if (strcmp(verdict, "allowed") == 0 || strcmp(verdict, "yes") == 0)
		return CLI_GOOD;
	if (strcmp(verdict, "denied") == 0 || strcmp(verdict, "no") == 0)
		return CLI_BAD;
	return strcmp(verdict, "skipped") == 0 ? CLI_FAINT : CLI_WARN;
}

void render_answer_word(const struct cli_out *out, const char *answer)
{
	_cleanup_free_ char *shown = text_sanitize(answer, 16);

	cli_print(out, verdict_style(answer), "%s:", shown ? shown : "");
}

int render_verdict(const struct cli_out *out, const char *verdict, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL, *shown = text_sanitize(verdict, 16);
	va_list ap;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	if (!text || !shown)
		return -ENOMEM;
	fputs("  ", out->file);
	cli_print(out, verdict_style(verdict), "%-7s", shown);
	if (cli_show(out, CLI_PLAIN, "  %s", text) < 0)
		return -ENOMEM;
	fputc('\n', out->file);
	return 0;
}

/* "laptop 100.64.0.2", "10.1.4.7 behind router" */
static char *end_words(const json_t *end)
{
	const char *address = value_text(end, "address");

	if (json_object_get(end, "behind"))
		return text_printf("%s (behind %s)", address, value_text(end, "behind"));
	return text_printf("%s", address);
}

static int render_addresses(const json_t *flow, const struct cli_out *out)
{
	_cleanup_free_ char *src = end_words(json_object_get(flow, "src"));
	_cleanup_free_ char *dst = end_words(json_object_get(flow, "dst"));

	if (!src || !dst || cli_show(out, CLI_FAINT, "           %s to %s", src, dst) < 0)
		return -ENOMEM;
	fputc('\n', out->file);
	return 0;
}

/* "22 by acls[0] line 14", for each range. */
static int render_ranges(const json_t *flow, const struct cli_out *out)
{
	const json_t *open = json_object_get(flow, "open");

	for (size_t i = 0; i < json_array_size(open); i++) {
		const json_t *range = json_array_get(open, i);
		uint64_t first = value_number(range, "firstPort");
		uint64_t last = value_number(range, "lastPort");
		_cleanup_free_ char *rule =
			ctl_rule_name(range, "rule", "packet_filter", value_number(range, "index"));
		int r;

		if (!rule)
			return -ENOMEM;
		if (first == last)
			r = render_verdict(out, "allowed", "%" PRIu64 " by %s", first, rule);
		else
			r = render_verdict(out, "allowed", "%" PRIu64 "-%" PRIu64 " by %s", first,
					   last, rule);
		if (r < 0)
			return r;
	}
	if (json_is_true(json_object_get(flow, "openCut")))
		fputs("           and more\n", out->file);
	return 0;
}

/* Are the two told by the same words? */
static bool same_words(const json_t *a, const json_t *b)
{
	return strcmp(value_text(a, "message"), value_text(b, "message")) == 0 &&
	       strcmp(value_text(a, "verdict"), value_text(b, "verdict")) == 0 &&
	       json_equal(json_object_get(a, "open"), json_object_get(b, "open"));
}

static bool told_before(const json_t *flows, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_words(json_array_get(flows, k), json_array_get(flows, i)))
			return true;
	return false;
}

int render_flows(const json_t *flows, bool any_port, const struct cli_out *out)
{
	size_t n = json_array_size(flows);

	for (size_t i = 0; i < n; i++) {
		const json_t *flow = json_array_get(flows, i);
		bool ranges = any_port && json_array_size(json_object_get(flow, "open")) > 0;
		int r;

		if (told_before(flows, i))
			continue;
		r = ranges ? render_ranges(flow, out)
			   : render_verdict(out, value_text(flow, "verdict"), "%s",
					    value_text(flow, "message"));
		for (size_t k = i; k < n && r == 0; k++)
			if (same_words(flow, json_array_get(flows, k)))
				r = render_addresses(json_array_get(flows, k), out);
		if (r < 0)
			return r;
	}
	return 0;
}

int render_notes(const json_t *notes, const struct cli_out *out)
{
	for (size_t i = 0; i < json_array_size(notes); i++) {
		if (i == 0)
			fputc('\n', out->file);
		cli_print(out, CLI_FAINT, "note:");
		if (cli_show(out, CLI_PLAIN, " %s",
			     value_text(json_array_get(notes, i), "message")) < 0)
			return -ENOMEM;
		fputc('\n', out->file);
	}
	return 0;
}

/* ---- acl explain ---- */

/* "on tcp 22", "by icmp", "on some tcp port" */
static char *service_words(const json_t *reply, bool any_port)
{
	uint8_t proto = (uint8_t)value_number(reply, "proto");
	const char *name = protocol_name(proto);
	_cleanup_free_ char *number = text_printf("protocol %u", proto);
	const char *shown = name ? name : number;

	if (!shown)
		return NULL;
	if (!protocol_has_ports(proto))
		return text_printf("by %s", shown);
	if (!any_port)
		return text_printf("on %s %" PRIu64, shown, value_number(reply, "port"));
	return text_printf("on %s %s port",
			   strcmp(value_text(reply, "answer"), "no") ? "some" : "any", shown);
}

/* The node that all flows say to ask; NULL: there is no such. */
static const char *ask_whom(const json_t *reply)
{
	const json_t *flow = json_array_get(json_object_get(reply, "flows"), 0);

	return json_string_value(json_object_get(flow, "ask"));
}

static int render_flow_answer(const json_t *reply, const char *src, const char *dst,
			      const char *service, const struct cli_out *out)
{
	const char *answer = value_text(reply, "answer"), *ask = ask_whom(reply);
	int r;

	render_answer_word(out, answer);
	if (strcmp(answer, "unknown") == 0 && ask)
		r = cli_show(out, CLI_PLAIN, " only %s knows whether %s can reach %s %s", ask, src,
			     dst, service);
	else if (strcmp(answer, "unknown") == 0)
		r = cli_show(out, CLI_PLAIN, " this host does not know whether %s can reach %s %s",
			     src, dst, service);
	else
		r = cli_show(out, CLI_PLAIN, " %s %s reach %s %s%s", src,
			     strcmp(answer, "no") ? "can" : "cannot", dst, service,
			     strcmp(answer, "partly") ? "" : ", but not by all of their addresses");
	fputs("\n\n", out->file);
	return r;
}

int render_flow(const json_t *reply, const char *src, const char *dst, const char *target,
		const struct cli_out *out)
{
	bool any_port = !json_object_get(reply, "port") &&
			protocol_has_ports((uint8_t)value_number(reply, "proto"));
	_cleanup_free_ char *service = service_words(reply, any_port);
	int r;

	if (!service)
		return -ENOMEM;
	r = render_flow_answer(reply, src, dst, service, out);
	if (r == 0)
		r = render_flows(json_object_get(reply, "flows"), any_port, out);
	if (r == 0)
		r = render_notes(json_object_get(reply, "notes"), out);
	if (r == 0 && ask_whom(reply)) {
		fputc('\n', out->file);
		r = cli_show(out, CLI_PLAIN, "ask on %s: agentctl acl explain %s %s",
			     ask_whom(reply), src, target);
		fputc('\n', out->file);
	}
	return r;
}
