#include "coord/api/internal.h"

unsigned api_status(enum registry_code code)
{
	switch (code) {
	case REGISTRY_OK:
		return 200;
	case REGISTRY_WAITING:
		return 202;
	case REGISTRY_BAD_REQUEST:
		return 400;
	case REGISTRY_NOT_ALLOWED:
	case REGISTRY_BAD_AUTH_KEY:
	case REGISTRY_BAD_TAG:
	case REGISTRY_REJECTED:
	case REGISTRY_DENIED:
	case REGISTRY_KEY_EXPIRED:
		return 403;
	case REGISTRY_NOT_FOUND:
		return 404;
	case REGISTRY_CONFLICT:
	case REGISTRY_NODE_KEY_IN_USE:
		return 409;
	case REGISTRY_PRECONDITION_FAILED:
		return 412;
	case REGISTRY_TOO_LARGE:
		return 413;
	case REGISTRY_POLICY_REFUSED:
		return 422;
	case REGISTRY_TOO_MANY:
		return 429;
	case REGISTRY_UNAVAILABLE:
		return 503;
	}
	return 500;
}
