/* What only the client may ask: its id and secret go along (RFC 6749, section 2.3.1). */
#include <string.h>

#include "common/base64.h"
#include "common/text.h"
#include "coord/oidc/provider_internal.h"

/* Both escaped as in a form, then as one in Basic. NULL: no memory. */
static char *make_basic(const struct oidc_provider *p)
{
	char *id = query_escape(p->client_id), *secret = query_escape(p->client_secret);
	char *pair = id && secret ? text_printf("%s:%s", id, secret) : NULL;
	size_t len = pair ? strlen(pair) : 0;
	char *encoded = pair ? malloc(BASE64_LEN(len) + 1) : NULL;
	char *header = NULL;

	if (encoded)
		header = text_printf("Authorization: Basic %s", base64_encode(pair, len, encoded));
	free(id);
	oidc_erase(secret);
	oidc_erase(pair);
	oidc_erase(encoded);
	return header;
}

void oidc_ask_as_client(struct oidc_call *call, const char *what, const char *url,
			struct query *form,
			void (*step)(struct oidc_call *call, const struct fetch_answer *answer))
{
	const struct oidc_provider *p = call->provider;
	char *header = NULL;

	if (p->discovery.post_secret) {
		query_add(form, "client_id", p->client_id);
		query_add(form, "client_secret", p->client_secret);
	} else {
		header = make_basic(p);
	}
	if (form->error || (!header && !p->discovery.post_secret))
		oidc_give_up(call, NULL);
	else
		oidc_ask(call,
			 &(struct oidc_asking){ what, url, header, form->text, .step = step });
	oidc_erase(header);
	query_done(form);
}
