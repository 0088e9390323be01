/*
 * Allocation failures, injected: what a module does when there is no memory, at each place where
 * it asks for some. Built with sanitizers, what libraries ask for does not fail (nomem.c).
 */
#pragma once

/*
 * Does the work once. Return: 0, and what came out was found right (or to deny) by the function
 * itself; -ENOMEM: it failed whole. It leaves nothing behind in any case.
 */
typedef int (*nomem_fn)(void *userdata);

/*
 * Call fn with the first allocation failing, then the second, until it makes no more of them; and
 * the same with all later ones failing as well. The test fails if fn returns anything else, or
 * leaves memory behind. what: for the message.
 */
void nomem_try(const char *what, nomem_fn fn, void *userdata);

/*
 * The part of fn that shall meet failures lies between these two: preparations and checks outside
 * have all the memory they want.
 */
void nomem_begin(void);
void nomem_end(void);
