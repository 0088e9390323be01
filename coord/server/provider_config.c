#include "coord/server/provider_config.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/conf.h"
#include "common/text.h"
#include "coord/oidc/discovery.h"
#include "coord/policy/grow.h"
#include "coord/policy/policy.h"

#define GROUP "group:"

static int read_url(const struct conf_field *f, const char *value, void *target)
{
	return oidc_url_is_safe(value) ? conf_read_string(f, value, target) : -EINVAL;
}

#define SECOND UINT64_C(1000000)

/* Blanks between them, and the one without which a provider speaks another protocol. */
static int read_scopes(const struct conf_field *f, const char *value, void *target)
{
	char **words = NULL;
	bool openid = false;
	int r = conf_read_strv(f, value, &words);

	for (size_t i = 0; r == 0 && words && words[i]; i++)
		openid |= strcmp(words[i], "openid") == 0;
	conf_strv_free(words);
	if (r < 0)
		return r;
	return openid ? conf_read_string(f, value, target) : -EINVAL;
}

static int read_alg(const struct conf_field *f, const char *value, void *target)
{
	return jws_alg_parse(value, target);
}

static int read_reauth(const struct conf_field *f, const char *value, void *target)
{
	return oidc_reauth_parse(value, target);
}

static void group_done(struct provider_group *group)
{
	free(group->group);
	free(group->value);
}

/* "group:engineering" of the policy, and all the rest is the claim's: it may hold blanks. */
static int split_group(const char *value, struct provider_group *ret_group)
{
	size_t name = strcspn(value, " \t");
	const char *rest = value + name + strspn(value + name, " \t");
	struct provider_group group;

	if (strncmp(value, GROUP, strlen(GROUP)) != 0 || name == strlen(GROUP) ||
	    name > POLICY_MAX_TEXT || !*rest || strlen(rest) > OIDC_MAX_TEXT ||
	    !text_is_utf8(value) || text_has_control(rest))
		return -EINVAL;
	group = (struct provider_group){ strndup(value, name), strdup(rest) };
	if (!group.group || !group.value) {
		group_done(&group);
		return -ENOMEM;
	}
	*ret_group = group;
	return 0;
}

static int read_group(const struct conf_field *f, const char *value, void *target)
{
	struct provider_groups *groups = target;
	struct provider_group group;
	int r = split_group(value, &group);

	if (r < 0)
		return r;
	if (grow(&groups->items, groups->n + 1, &groups->size) < 0) {
		group_done(&group);
		return -ENOMEM;
	}
	groups->items[groups->n++] = group;
	return 0;
}

static int read_offline(const struct conf_field *f, const char *value, void *target)
{
	return oidc_offline_parse(value, target);
}

#define AT(member) offsetof(struct provider_config, member)
static const struct conf_field fields[] = {
	{ "Title", conf_read_string, AT(title), .expected = "a name for people" },
	{ "Issuer", read_url, AT(issuer),
	  .expected = "the provider's https URL, as it calls itself" },
	{ "ClientId", conf_read_string, AT(client_id),
	  .expected = "what the provider calls this coordinator" },
	{ "ClientSecretFile", conf_read_path, AT(secret_file),
	  .expected = "the absolute path of a file" },
	{ "Scopes", read_scopes, AT(scopes), .expected = "words, with \"openid\" among them" },
	{ "GroupsClaim", conf_read_string, AT(groups_claim), .expected = "the name of a claim" },
	{ "AllowedDomains", conf_read_strv, AT(domains), .expected = "domains" },
	{ "AllowedGroups", conf_read_strv, AT(groups), .expected = "names of groups" },
	{ "Group", read_group, AT(mapped), .repeats = true,
	  .expected = "a group of the policy and what the claim has for it, such as "
		      "group:engineering engineering-team" },
	{ "CreateUsers", conf_read_bool, AT(may_create), .expected = "yes or no" },
	{ "TrustEmail", conf_read_bool, AT(trust_email), .expected = "yes or no" },
	{ "SigningAlgorithm", read_alg, AT(alg), .expected = "RS256 or ES256" },
	{ "RefreshTokens", read_offline, AT(offline),
	  .expected = "no, offline-access, access-type or plain" },
	{ "RefreshEvery", conf_read_duration, AT(refresh_every_usec), SECOND, 7 * 86400 * SECOND,
	  "a time from 1s to 7d" },
	{ "Reauth", read_reauth, AT(reauth), .expected = "max-age, prompt-only or none" },
};
#undef AT

struct provider_config *provider_config_free(struct provider_config *config)
{
	if (!config)
		return NULL;
	free(config->name);
	free(config->title);
	free(config->issuer);
	free(config->client_id);
	free(config->secret_file);
	free(config->scopes);
	free(config->groups_claim);
	conf_strv_free(config->domains);
	conf_strv_free(config->groups);
	for (size_t i = 0; i < config->mapped.n; i++)
		group_done(&config->mapped.items[i]);
	free(config->mapped.items);
	free(config);
	return NULL;
}

static int fail(char **reterr_text, const char *source, const char *why)
{
	*reterr_text = text_printf("%s: %s", source, why);
	return *reterr_text ? -EINVAL : -ENOMEM;
}

/* What no value says by itself. */
static int check(const struct provider_config *config, const char *source, char **reterr_text)
{
	if (!config->issuer || !config->client_id || !config->secret_file)
		return fail(reterr_text, source,
			    "Issuer=, ClientId= and ClientSecretFile= have to be there");
	if (config->groups && config->groups[0] && !config->groups_claim)
		return fail(reterr_text, source,
			    "AllowedGroups= needs GroupsClaim=, which says where groups stand");
	if (config->mapped.n > 0 && !config->groups_claim)
		return fail(reterr_text, source,
			    "Group= needs GroupsClaim=, which says where groups stand");
	if (config->mapped.n > PROVIDER_MAX_GROUPS)
		return fail(reterr_text, source, "there are more than 256 lines Group=");
	return 0;
}

static int set_default(char **target, const char *value)
{
	if (!*target)
		*target = strdup(value);
	return *target ? 0 : -ENOMEM;
}

static bool is_name(const char *name)
{
	return text_is_label(name) && strlen(name) <= PROVIDER_MAX_NAME;
}

int provider_config_parse(const char *text, size_t len, const char *source, const char *name,
			  char **reterr_text, struct provider_config **ret_config)
{
	_cleanup_(provider_config_freep) struct provider_config *config =
		calloc(1, sizeof(*config));
	int r;

	if (!config)
		return -ENOMEM;
	config->refresh_every_usec = 3600 * SECOND;
	if (!is_name(name))
		return fail(reterr_text, source,
			    "the file's name has to be small letters, digits and hyphens, 32 at "
			    "most, and .conf");
	r = conf_parse(text, len, source, fields, sizeof(fields) / sizeof(fields[0]), config,
		       reterr_text);
	if (r == 0)
		r = check(config, source, reterr_text);
	if (r == 0)
		r = set_default(&config->name, name);
	if (r == 0)
		r = set_default(&config->title, name);
	if (r == 0)
		r = set_default(&config->scopes, "openid email profile");
	if (r < 0)
		return r;
	*ret_config = take_ptr(config);
	return 0;
}

/* ---- who may come ---- */

const char *provider_email(const struct provider_config *config,
			   const struct oidc_identity *identity)
{
	if (!identity->email)
		return NULL;
	/* Silence is not consent: but there are providers that never say. "false" is an answer. */
	if (config->trust_email && !identity->has_email_verified)
		return identity->email;
	return identity->email_verified ? identity->email : NULL;
}

static bool has_word(char **words, const char *text)
{
	for (size_t i = 0; words && words[i]; i++)
		if (strcmp(words[i], text) == 0)
			return true;
	return false;
}

static bool is_of_domain(char **domains, const char *email)
{
	const char *at = email ? strrchr(email, '@') : NULL;

	for (size_t i = 0; at && domains[i]; i++)
		if (strcasecmp(domains[i], at + 1) == 0)
			return true;
	return false;
}

static bool is_of_group(char **groups, const struct oidc_identity *identity)
{
	for (size_t i = 0; i < identity->n_groups; i++)
		if (has_word(groups, identity->groups[i]))
			return true;
	return false;
}

static bool lacks_domain(const struct provider_config *config, const struct oidc_identity *identity)
{
	return config->domains && config->domains[0] &&
	       !is_of_domain(config->domains, provider_email(config, identity));
}

static bool lacks_group(const struct provider_config *config, const struct oidc_identity *identity)
{
	return config->groups && config->groups[0] && !is_of_group(config->groups, identity);
}

const char *provider_admits(const struct provider_config *config,
			    const struct oidc_identity *identity)
{
	if (lacks_domain(config, identity))
		return "your e-mail address is not one that may sign in here";
	if (lacks_group(config, identity))
		return "you are in none of the groups that may sign in here";
	return NULL;
}

const char *provider_still_admits(const struct provider_config *config,
				  const struct oidc_identity *identity)
{
	if (identity->email && (identity->has_email_verified || config->trust_email) &&
	    lacks_domain(config, identity))
		return "the e-mail address is not one that may sign in here any more";
	if (identity->has_groups && lacks_group(config, identity))
		return "in none of the groups that may sign in here any more";
	return NULL;
}
