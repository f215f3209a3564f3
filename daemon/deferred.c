/* SPDX-License-Identifier: MIT */
#include "daemon/deferred.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct deferred *deferred_create(const struct write_request *request, uint64_t request_id, uint64_t room)
{
	uint64_t bytes = sizeof(struct deferred) + request->key_size + request->value_size;
	struct deferred *deferred = bytes <= room ? malloc(bytes) : NULL;

	if (!deferred)
		return NULL;
	*deferred = (struct deferred){
		.request = *request, .request_id = request_id, .tried_ms = monotonic_ms(), .bytes = bytes
	};
	memcpy(deferred->data, request->key, request->key_size);
	memcpy(deferred->data + request->key_size, request->value, request->value_size);
	deferred->request.key = deferred->data;
	deferred->request.value = deferred->data + request->key_size;
	return deferred;
}

bool deferred_over(struct deferred *deferred, uint64_t now_ms)
{
	uint64_t since_ms = now_ms - deferred->tried_ms;

	deferred->tried_ms = now_ms;
	deferred->waited_ms += since_ms < DEFER_STEP_MS ? since_ms : DEFER_STEP_MS;
	return deferred->waited_ms >= DEFER_MS;
}
