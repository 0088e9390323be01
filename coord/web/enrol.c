/*
 * A machine asks to be let in, and its person says yes: the page behind the link that the terminal
 * shows. Opening it does nothing: whoever is made to open another's link would let in a machine of
 * theirs. What was shown when yes was said is part of the form's token; so the machine cannot ask
 * for something else meanwhile.
 */
#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/web/internal.h"

static int refuse_link(struct web_call *call)
{
	return web_error(call, 404, "This link is of no use",
			 "Such a link is good for 15 minutes. \"agentctl up\" on the device shows "
			 "a new one.");
}

static const struct pending_record *find(const struct web_call *call)
{
	return registry_pending_by_page(call->web->registry, web_param(call, "id"));
}

/* ---- the page ---- */

static void add_tags(struct html *page, const struct text_list *tags)
{
	html_add(page, "<div><dt>Asks for</dt><dd>");
	for (size_t i = 0; i < tags->n; i++)
		html_add(page, "%s%s", i ? ", " : "", tags->items[i]);
	html_add(page, "</dd></div>\n");
}

/* As registry_approve() decides it: the tags asked for, or what the machine was. */
static bool will_have_tags(const struct pending_record *pending, const struct node_record *known)
{
	return pending->tags.n > 0 || (known && !known->user);
}

static void add_machine(struct html *page, const struct web_call *call,
			const struct pending_record *pending)
{
	const struct node_record *known =
		registry_node_by_machine(call->web->registry, &pending->machine);
	char key[ED25519_TEXT_LEN], from[IP_ADDR_STRLEN];

	html_add(page, "<dl>\n");
	html_add(page, "<div><dt>Code</dt><dd class=\"code\">%s</dd></div>\n", pending->head.id);
	page_item(page, "Host name", pending->facts.hostname);
	if (known)
		page_item(page, "Known here as", known->name);
	if (pending->facts.os)
		page_item(page, "System", pending->facts.os);
	if (pending->from.family != AF_UNSPEC)
		page_item(page, "Asks from", ip_addr_to_string(&pending->from, from));
	page_item(page, "Key", ed25519_public_to_string(ED25519_MACHINE, &pending->machine, key));
	if (pending->tags.n > 0)
		add_tags(page, &pending->tags);
	page_item(page, "Will belong to",
		  will_have_tags(pending, known) ? "nobody: it acts under its tags" : call->login);
	html_add(page, "</dl>\n");
}

static int show(struct web_call *call, const struct pending_record *pending)
{
	const struct node_record *known =
		registry_node_by_machine(call->web->registry, &pending->machine);
	uint64_t now = registry_now(call->web->registry);
	struct html page = { 0 };
	char path[64];

	if (known && known->user && strcmp(known->user, call->login) != 0)
		return web_error(call, 403, "This device is somebody else's",
				 "It is known here as another person's, who may let it in again. "
				 "If it is yours now, ask those who look after the network to "
				 "remove it first.");

	snprintf(path, sizeof(path), "/a/%s", pending->page);
	page_begin(&page, call, known ? "Let this device in again?" : "Add this device?");
	html_add(&page,
		 "<p>Say yes only if you have just started this yourself, and the code is "
		 "the one that its terminal shows. It then reaches what you may reach.</p>\n");
	add_machine(&page, call, pending);
	page_form(&page, call, path, "enrol %s %" PRIu64, pending->page, pending->head.revision);
	html_add(&page,
		 "<div class=\"buttons\">\n"
		 "<button name=\"answer\" value=\"yes\">Yes, it is mine</button>\n"
		 "<button name=\"answer\" value=\"no\" class=\"bad\">No, turn it away</button>\n"
		 "</div></form>\n<p class=\"soft\">The link is good for another ");
	page_duration(&page, pending->expires - now);
	html_add(&page, ".</p>\n");
	page_end(&page);
	return web_answer(call, 200, &page);
}

/* ---- what was decided ---- */

static int show_done(struct web_call *call, bool approved, const char *name)
{
	struct html page = { 0 };

	page_begin(&page, call, approved ? "It is in" : "It was turned away");
	if (approved)
		html_add(&page,
			 "<p class=\"done\"><strong>%s</strong> is part of the network. The "
			 "terminal goes on by itself; you can close this page.</p>\n",
			 name);
	else
		html_add(&page, "<p class=\"done\">The device was told no. You can close this "
				"page.</p>\n");
	page_end(&page);
	return web_answer(call, 200, &page);
}

int web_enrol(struct web_call *call)
{
	const struct pending_record *pending = find(call);
	const struct node_record *node;

	if (!pending)
		return refuse_link(call);
	if (pending->state == PENDING_WAITING)
		return show(call, pending);
	node = pending->node ? registry_node(call->web->registry, pending->node) : NULL;
	return show_done(call, pending->state == PENDING_APPROVED,
			 node ? node->name : "The device");
}

static void on_approved(const struct registry_result *result, void *userdata)
{
	struct web_call *call = userdata;

	if (result->code == REGISTRY_NOT_FOUND)
		refuse_link(call);
	else if (web_refused(call, result) < 0)
		show_done(call, true, result->node->name);
}

static void on_rejected(const struct registry_result *result, void *userdata)
{
	struct web_call *call = userdata;

	if (result->code == REGISTRY_NOT_FOUND)
		refuse_link(call);
	else if (web_refused(call, result) < 0)
		show_done(call, false, NULL);
}

int web_enrol_post(struct web_call *call)
{
	const struct pending_record *pending = find(call);
	const char *answer = web_field(call, "answer");

	if (!pending)
		return refuse_link(call);
	/* By somebody, in another window may be. */
	if (pending->state != PENDING_WAITING)
		return web_enrol(call);
	if (web_check_form(call, "enrol %s %" PRIu64, pending->page, pending->head.revision) != 0)
		return 0;
	if (strcmp(answer, "yes") == 0)
		registry_approve(call->web->registry, &call->actor, pending->head.id, NULL, NULL,
				 on_approved, call);
	else if (strcmp(answer, "no") == 0)
		registry_reject(call->web->registry, &call->actor, pending->head.id, on_rejected,
				call);
	else
		return web_error(call, 400, "This cannot be read", "The answer is missing.");
	return 0;
}
