#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "agent/ctl/doctor/doctor.h"
#include "agent/grow.h"
#include "common/cli/table.h"
#include "common/text.h"

#define SHOWN_MAX 1024 /* bytes of a line */

const char *doctor_state_to_string(enum doctor_state state)
{
	switch (state) {
	case DOCTOR_GOOD:
		return "good";
	case DOCTOR_UNKNOWN:
		return "unknown";
	case DOCTOR_WARN:
		return "warn";
	case DOCTOR_BAD:
		return "bad";
	}
	return "unknown";
}

_printf_(1, 0) static char *format(const char *fmt, va_list ap)
{
	_cleanup_free_ char *raw = text_vprintf(fmt, ap);

	return raw ? text_sanitize(raw, SHOWN_MAX) : NULL;
}

void doctor_say(struct doctor_report *rep, enum doctor_state state, const char *fmt, ...)
{
	struct doctor_finding finding = { .area = rep->area, .state = state };
	va_list ap;

	va_start(ap, fmt);
	finding.what = format(fmt, ap);
	va_end(ap);
	if (!finding.what || array_grow(&rep->findings, &rep->n_alloc, rep->n, sizeof(finding))) {
		free(finding.what);
		rep->failed = true;
		return;
	}
	rep->findings[rep->n++] = finding;
}

void doctor_advise(struct doctor_report *rep, const char *fmt, ...)
{
	struct doctor_finding *last;
	va_list ap;

	if (rep->failed)
		return;
	last = &rep->findings[rep->n - 1];
	free(last->remedy);
	va_start(ap, fmt);
	last->remedy = format(fmt, ap);
	va_end(ap);
	if (!last->remedy)
		rep->failed = true;
}

void doctor_report_done(struct doctor_report *rep)
{
	for (size_t i = 0; i < rep->n; i++) {
		free(rep->findings[i].what);
		free(rep->findings[i].remedy);
	}
	free(rep->findings);
	*rep = (struct doctor_report){ 0 };
}

enum doctor_state doctor_worst(const struct doctor_report *rep)
{
	enum doctor_state worst = DOCTOR_GOOD;

	for (size_t i = 0; i < rep->n; i++)
		if (rep->findings[i].state > worst)
			worst = rep->findings[i].state;
	return worst;
}

static enum cli_style style_of(enum doctor_state state)
{
	switch (state) {
	case DOCTOR_GOOD:
		return CLI_GOOD;
	case DOCTOR_UNKNOWN:
		return CLI_FAINT;
	case DOCTOR_WARN:
		return CLI_WARN;
	case DOCTOR_BAD:
		return CLI_BAD;
	}
	return CLI_PLAIN;
}

int doctor_render(const struct doctor_report *rep, const struct cli_out *out)
{
	static const struct cli_column columns[] = { { "STATE" }, { "CHECK" }, { "WHAT" } };
	_cleanup_(cli_table_freep) struct cli_table *table = NULL;
	int r;

	if (rep->failed)
		return -ENOMEM;
	r = cli_table_new(columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;
	for (size_t i = 0; i < rep->n; i++) {
		const struct doctor_finding *finding = &rep->findings[i];

		cli_table_add(table, style_of(finding->state), "%s",
			      doctor_state_to_string(finding->state));
		cli_table_add(table, CLI_PLAIN, "%s", finding->area);
		cli_table_add(table, CLI_PLAIN, "%s", finding->what);
		if (!finding->remedy)
			continue;
		cli_table_add(table, CLI_PLAIN, "%s", "");
		cli_table_add(table, CLI_PLAIN, "%s", "");
		cli_table_add(table, CLI_PLAIN, "-> %s", finding->remedy);
	}
	return cli_table_print(table, out);
}

json_t *doctor_json(const struct doctor_report *rep)
{
	json_auto_t *checks = json_array();

	for (size_t i = 0; i < rep->n; i++) {
		const struct doctor_finding *finding = &rep->findings[i];

		if (json_array_append_new(checks,
					  json_pack("{s:s, s:s, s:s, s:s*}", "check", finding->area,
						    "state", doctor_state_to_string(finding->state),
						    "what", finding->what, "remedy",
						    finding->remedy)) < 0)
			return NULL;
	}
	if (rep->failed)
		return NULL;
	return json_pack("{s:s, s:o}", "state", doctor_state_to_string(doctor_worst(rep)), "checks",
			 take_ptr(checks));
}
