/* Options of coordctl: what there is, and where it goes. */
#include <stddef.h>

#include "coord/ctl/ctl.h"
#include "coord/ctl/options.h"

enum target_kind {
	TARGET_FLAG,  /* bool */
	TARGET_TEXT,  /* const char * */
	TARGET_WORDS, /* struct ctl_words */
};

static const struct {
	enum target_kind kind;
	size_t offset;
} targets[] = {
#define FLAG(member)                                      \
	{                                                 \
		TARGET_FLAG, offsetof(struct ctl, member) \
	}
#define TEXT(member)                                      \
	{                                                 \
		TARGET_TEXT, offsetof(struct ctl, member) \
	}
#define WORDS(member)                                      \
	{                                                  \
		TARGET_WORDS, offsetof(struct ctl, member) \
	}
	[OPTION_JSON] = FLAG(json),
	[OPTION_SOCKET] = TEXT(server.socket),
	[OPTION_URL] = TEXT(server.url),
	[OPTION_API_KEY_FILE] = TEXT(server.key_file),
	[OPTION_CA_FILE] = TEXT(server.ca_file),
	[OPTION_NODES] = TEXT(nodes),
	[OPTION_NODE] = TEXT(node),
	[OPTION_STRICT] = FLAG(strict),
	[OPTION_PROTO] = TEXT(proto),
	[OPTION_TAG] = WORDS(tags),
	[OPTION_ROLE] = WORDS(roles),
	[OPTION_NO_ROLES] = FLAG(no_roles),
	[OPTION_SET_PASSWORD_LINK] = FLAG(set_password_link),
	[OPTION_SCOPE] = WORDS(scopes),
	[OPTION_USER] = TEXT(user),
	[OPTION_NAME] = TEXT(name),
	[OPTION_DESCRIPTION] = TEXT(description),
	[OPTION_EXPIRES] = TEXT(expires),
	[OPTION_REUSABLE] = FLAG(reusable),
	[OPTION_EPHEMERAL] = FLAG(ephemeral),
	[OPTION_CONFIRM_WITHIN] = TEXT(confirm_within),
	[OPTION_IF_VERSION] = TEXT(if_version),
	[OPTION_VERSION] = TEXT(version),
	[OPTION_COMMENT] = TEXT(comment),
	[OPTION_SINCE] = TEXT(since),
	[OPTION_FOLLOW] = FLAG(follow),
	[OPTION_STATE_DIR] = TEXT(state_dir),
	[OPTION_CONFIG] = TEXT(init.config),
	[OPTION_DOMAIN] = TEXT(init.domain),
	[OPTION_LISTEN] = TEXT(init.listen),
	[OPTION_CERTIFICATE] = TEXT(init.certificate),
	[OPTION_PRIVATE_KEY] = TEXT(init.private_key),
#undef FLAG
#undef TEXT
#undef WORDS
};

static int take_word(struct ctl *ctl, struct ctl_words *words, const char *arg)
{
	if (words->n == CTL_MAX_WORDS)
		return ctl_tell_usage(ctl, "an option is there more than %u times", CTL_MAX_WORDS);
	words->items[words->n++] = arg;
	return CLI_OK;
}

int ctl_take_option(int id, const char *arg, void *userdata)
{
	char *target = (char *)userdata + targets[id].offset;

	switch (targets[id].kind) {
	case TARGET_FLAG:
		*(bool *)target = true;
		break;
	case TARGET_TEXT:
		*(const char **)target = arg;
		break;
	case TARGET_WORDS:
		return take_word(userdata, (struct ctl_words *)target, arg);
	}
	return CLI_OK;
}
