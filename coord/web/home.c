/* What is somebody's: their devices, and where they have signed in. */
#include <errno.h>
#include <string.h>

#include "coord/registry/checks.h"
#include "coord/web/internal.h"

/* ---- devices ---- */

static void add_state(struct html *page, const struct web_call *call,
		      const struct node_record *node)
{
	const struct registry *registry = call->web->registry;
	uint64_t now = registry_now(registry), seen = registry_last_seen(registry, node);

	if (node_is_expired(node, now)) {
		html_add(page, "<p class=\"soft\">Out: its key has expired. <code>agentctl "
			       "login</code> on the device lets it in again.</p>\n");
		return;
	}
	html_add(page, "<p class=\"soft\">");
	if (registry_is_online(registry, node))
		html_add(page, "Connected now");
	else if (seen > 0 && seen < now) {
		html_add(page, "Last connected ");
		page_duration(page, now - seen);
		html_add(page, " ago");
	} else {
		html_add(page, "Not connected");
	}
	if (node->key_expiry != RECORD_NEVER) {
		html_add(page, "; let in until ");
		page_time(page, node->key_expiry);
	}
	html_add(page, "</p>\n");
}

static void add_check(struct html *page, const struct web_call *call,
		      const struct node_record *node)
{
	const struct checkgrant_record *grant =
		registry_checkgrant(call->web->registry, node->head.id);
	uint64_t now = registry_now(call->web->registry);

	if (!grant || grant->at == 0 || grant->at > now)
		return;
	html_add(page, "<p class=\"soft\">You last let in a login from it ");
	page_duration(page, now - grant->at);
	html_add(page, " ago (%s%s%s)</p>\n", grant->method, grant->from ? ", from " : "",
		 grant->from);
}

static void add_expire(struct html *page, const struct web_call *call,
		       const struct node_record *node)
{
	char path[64];

	snprintf(path, sizeof(path), "/devices/%s/expire", node->head.id);
	html_add(page, "<details><summary>Lock it out</summary>\n"
		       "<p>Its connections end at once. It comes back when somebody signs in for "
		       "it again (<code>agentctl login</code>).</p>\n");
	page_form(page, call, path, "expire %s", node->head.id);
	html_add(page, "<button class=\"bad\">Lock %s out</button></form></details>\n", node->name);
}

static void add_device(struct html *page, const struct web_call *call,
		       const struct node_record *node)
{
	struct ip_addr addresses[2];
	char text[2][IP_ADDR_STRLEN];

	registry_node_addresses(call->web->registry, node, addresses);
	html_add(page, "<li><h3>%s</h3>\n<p>%s \xc2\xb7 %s</p>\n", node->name,
		 ip_addr_to_string(&addresses[0], text[0]),
		 ip_addr_to_string(&addresses[1], text[1]));
	if (node->facts.os)
		html_add(page, "<p class=\"soft\">%s</p>\n", node->facts.os);
	add_state(page, call, node);
	add_check(page, call, node);
	if (!node_is_expired(node, registry_now(call->web->registry)))
		add_expire(page, call, node);
	html_add(page, "</li>\n");
}

static void add_devices(struct html *page, const struct web_call *call)
{
	const struct registry *registry = call->web->registry;
	size_t n = 0;

	html_add(page, "<ul class=\"cards\">\n");
	for (size_t i = 0; i < registry_n_nodes(registry); i++) {
		const struct node_record *node = registry_node_at(registry, i);

		if (!node->user || strcmp(node->user, call->login) != 0)
			continue;
		add_device(page, call, node);
		n++;
	}
	html_add(page, "</ul>\n");
	if (n == 0)
		html_add(page, "<p>None yet. <code>agentctl up</code> on a device shows a link "
			       "that adds it.</p>\n");
}

/* ---- browsers ---- */

static void add_session(struct html *page, const struct web_call *call,
			const struct websession_record *session)
{
	char from[IP_ADDR_STRLEN];

	html_add(page, "<li>Since ");
	page_time(page, session->created);
	if (session->from.family != AF_UNSPEC)
		html_add(page, ", from %s", ip_addr_to_string(&session->from, from));
	html_add(page, ", with %s <small>%s</small></li>\n", session->method, session->agent);
}

static void add_sessions(struct html *page, const struct web_call *call)
{
	const struct registry *registry = call->web->registry;

	html_add(page, "<h2>Where you are signed in</h2>\n<ul class=\"lines\">\n");
	for (size_t i = 0; i < registry_n_websessions(registry); i++) {
		const struct websession_record *session = registry_websession_at(registry, i);

		if (strcmp(session->user, call->login) == 0 &&
		    registry_websession_is_valid(registry, session))
			add_session(page, call, session);
	}
	html_add(page, "</ul>\n");
	page_form(page, call, "/logout/everywhere", "logout-everywhere");
	html_add(page, "<button class=\"bad\">Sign out everywhere</button></form>\n");
}

/* How long devices outlive that somebody has left. */
static void add_identity(struct html *page, const struct web_call *call,
			 const struct identity *identity)
{
	const struct renewals *renewals = call->web->renewals;
	uint64_t usec =
		renewals ? renewals_notice_usec(renewals, identity->issuer, identity->subject) : 0;

	html_add(page, "<p>You sign in with %s. ", identity->issuer);
	if (usec > 0) {
		html_add(page, "If you are gone from there, it is noticed here within ");
		page_duration(page, usec);
		html_add(page, ", and your devices are locked out.</p>\n");
	} else {
		html_add(page, "If you are gone from there, it is noticed here only when the keys "
			       "of your devices expire.</p>\n");
	}
}

static void add_password(struct html *page, const struct web_call *call,
			 const struct user_record *user)
{
	html_add(page, "<p>%s <a href=\"%s/code\">%s</a></p>\n",
		 user->totp ? "A code of your app is asked for besides the password."
			    : "The password is all that is asked for.",
		 call->web->base, user->totp ? "Change that" : "Ask for a code of an app as well");
}

static void add_account(struct html *page, const struct web_call *call)
{
	const struct user_record *user = web_user(call);

	if (!user || (!user->password && user->identities.n == 0))
		return;
	html_add(page, "<h2>Your account</h2>\n");
	for (size_t i = 0; i < user->identities.n; i++)
		add_identity(page, call, &user->identities.items[i]);
	if (user->password)
		add_password(page, call, user);
}

int web_home_show(struct web_call *call, const struct registry_result *result)
{
	struct html page = { 0 };

	page_begin(&page, call, "Your devices");
	add_devices(&page, call);
	lately_show(&page, call, result);
	add_sessions(&page, call);
	add_account(&page, call);
	page_end(&page);
	return web_answer(call, 200, &page);
}

int web_home(struct web_call *call)
{
	lately_read(call);
	return 0;
}

/* ---- locking a device out ---- */

static void on_expired(const struct registry_result *result, void *userdata)
{
	struct web_call *call = userdata;

	if (web_refused(call, result) < 0)
		web_redirect(call, "/");
}

int web_device_expire(struct web_call *call)
{
	const struct node_record *node =
		registry_node(call->web->registry, web_param(call, "node"));

	/* Whose it is does not tell who asks. */
	if (!node || !node->user || strcmp(node->user, call->login) != 0)
		return web_error(call, 404, "There is no such device", "You have none of this id.");
	if (web_check_form(call, "expire %s", node->head.id) != 0)
		return 0;
	registry_expire_node(call->web->registry, &call->actor, node->head.id, on_expired, call);
	return 0;
}
