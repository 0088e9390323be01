/* Man pages that list metrics. */
#pragma once

/*
 * Fails the running test unless the page (a path from $TEST_DATA) has the name of each family in
 * text, as its samples have it.
 */
void metrics_page_check(const char *page, const char *text);
