/*
 * Readers (common/json.h) for values that maps, requests and the coordinator's records have in
 * common. What does not fit is refused, with what would be right.
 */
#pragma once

#include "common/json.h"

/* A DNS label, but "localhost". */
int json_read_label(const json_t *v, const struct json_at *at, void *target /* char ** */,
		    struct json_report *rep);
/* The domain of a mesh: two labels or more. */
int json_read_domain(const json_t *v, const struct json_at *at, void *target /* char ** */,
		     struct json_report *rep);
int json_read_address(const json_t *v, const struct json_at *at,
		      void *target /* struct ip_addr * */, struct json_report *rep);
int json_read_prefix(const json_t *v, const struct json_at *at,
		     void *target /* struct ip_prefix * */, struct json_report *rep);
int json_read_endpoint(const json_t *v, const struct json_at *at,
		       void *target /* struct ip_endpoint * */, struct json_report *rep);
/* A public one; not the zero key. */
int json_read_wg_key(const json_t *v, const struct json_at *at, void *target /* struct wg_key * */,
		     struct json_report *rep);
/* "TYPE BASE64" (common/host_key.h) */
int json_read_host_key(const json_t *v, const struct json_at *at, void *target /* char ** */,
		       struct json_report *rep);
/* A whole number, 0..65535. */
int json_read_u16(const json_t *v, const struct json_at *at, void *target /* uint16_t * */,
		  struct json_report *rep);
