#include "coord/accounts/refused.h"

#include <string.h>

#include "common/cleanup.h"

/* Keys in a row, and words that people add digits to until they are long enough. */
static const char *const rows[] = {
	"1234567890",	    "0987654321",
	"qwertyuiop",	    "qwertzuiop",
	"azertyuiop",	    "asdfghjkl",
	"zxcvbnm",	    "1qaz2wsx3edc",
	"1q2w3e4r5t6y",	    "abcdefghijklmnopqrstuvwxyz",
	"qwerty1234567890", "abc1234567890",
	"zaq12wsxcde3",
};
static const char *const words[] = {
	"password",	 "passwort", "passw0rd", "p@ssw0rd", "p@ssword", "kennwort", "changeme",
	"letmein",	 "welcome",  "iloveyou", "sunshine", "superman", "football", "princess",
	"administrator", "admin",    "root",	 "secret",   "peergate", "qwerty",   "asdfgh",
};

/* One character again and again, or two in turn. */
static bool repeats(const char *password)
{
	for (size_t i = 2; password[i]; i++)
		if (password[i] != password[i - 2])
			return false;
	return true;
}

/* From the beginning of the row, and then from its beginning again: "12345678901234". */
static bool is_row(const char *password, const char *row)
{
	size_t n = strlen(row);

	for (size_t i = 0; password[i]; i++)
		if (strncasecmp(&password[i], &row[i % n], 1) != 0)
			return false;
	return true;
}

/* The word, once or more often, and then only digits and marks: "Password123!". */
static bool is_word(const char *password, const char *word)
{
	size_t n = strlen(word);

	if (strncasecmp(password, word, n) != 0)
		return false;
	while (strncasecmp(password, word, n) == 0)
		password += n;
	return password[strspn(password, "0123456789!?.#@$*-_+")] == '\0';
}

bool password_is_refused(const char *password)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (is_row(password, rows[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (is_word(password, words[i]))
			return true;
	return repeats(password);
}
