/* Writes coordctl's completions, when it is built. */
#include "common/cli/complete.h"
#include "coord/ctl/ctl.h"

/* What comes out of these is put into a shell's hands: nothing but what names are made of. */
#define MEMBER(key, characters) "sed -n 's/^ *\"" key "\": \"\\([" characters "]*\\)\",*$/\\1/p'"
#define LIST(verb, key, characters) \
	"coordctl " verb " --json 2>/dev/null | " MEMBER(key, characters)

static const struct cli_lister listers[] = {
	{ "nodes", "NODE SRC DST", LIST("nodes list", "name", "a-z0-9-") },
	{ "logins", "LOGIN", LIST("users list", "login", "A-Za-z0-9.@+_-") },
	{ "whose", "WHOSE",
	  LIST("nodes list", "name", "a-z0-9-") "; " LIST("users list", "login",
							  "A-Za-z0-9.@+_-") },
	{ "codes", "CODE", LIST("auth list", "code", "A-Z0-9-") },
	{ "authkeys", "AUTHKEY", LIST("authkeys list", "id", "a-z0-9") },
	{ "apikeys", "APIKEY", LIST("apikeys list", "id", "a-z0-9") },
};

int main(int argc, char **argv)
{
	const struct cli_completion completion = { &ctl_program, listers, ARRAY_SIZE(listers) };

	return cli_complete_main(&completion, argc, argv);
}
