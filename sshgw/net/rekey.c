#include "sshgw/net/rekey.h"

#include <stddef.h>

void rekey_begin(struct rekey *rekey, uint64_t now)
{
	if (!rekey_is_under_way(rekey))
		*rekey = (struct rekey){ .due = now + REKEY_USEC };
}

void rekey_end(struct rekey *rekey)
{
	*rekey = (struct rekey){ 0 };
}

bool rekey_is_under_way(const struct rekey *rekey)
{
	return rekey->due != 0;
}

void rekey_count(struct rekey *rekey)
{
	if (rekey_is_under_way(rekey))
		rekey->n_waiting++;
}

uint64_t rekey_deadline(const struct rekey *rekey)
{
	return rekey_is_under_way(rekey) ? rekey->due : UINT64_MAX;
}

const char *rekey_why_over(const struct rekey *rekey, uint64_t now)
{
	if (!rekey_is_under_way(rekey))
		return NULL;
	if (rekey->n_waiting > REKEY_MAX_WAITING)
		return "The client does not finish the exchange of new keys, and floods us";
	if (now >= rekey->due)
		return "The client did not finish the exchange of new keys in 5 minutes";
	return NULL;
}
