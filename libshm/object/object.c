/* SPDX-License-Identifier: MIT */
#include "object/object.h"

#include "base/failpoint.h"

unsigned char *object_write(const struct arena *arena, uint64_t offset, const struct object_plan *plan)
{
	unsigned char *start = arena->base + offset;
	struct object *object = (struct object *)(void *)start;
	uint64_t key_start = object_key_start(plan->flags);

	object->version = plan->version;
	failpoint("object.begun");
	if (plan->flags & OBJECT_EXPIRES)
		memcpy(start + sizeof *object, &plan->expires_ms, sizeof plan->expires_ms);
	if (plan->flags & OBJECT_FLAGS)
		memcpy(start + key_start - sizeof plan->user_flags, &plan->user_flags, sizeof plan->user_flags);
	memmove(start + key_start, plan->key, plan->key_size); /* it may be another object's, and its size anything */
	if (plan->flags & OBJECT_COUNTER) {
		struct counter *counter = (struct counter *)(void *)(arena->base +
		                                                     align_up(offset + key_start + plan->key_size,
		                                                              sizeof(struct counter)));

		store_relaxed(&counter->value, (uint64_t)plan->number);
		store_relaxed(&counter->version, plan->version << 1);
		return NULL;
	}
	return start + align_up(key_start + plan->key_size, object_value_alignment(plan->value_size));
}

void object_complete(const struct arena *arena, uint64_t offset, const struct object_plan *plan)
{
	struct object *object = (struct object *)(void *)(arena->base + offset);

	/* R10 -> A10: a walker that sees a key size must find the rest of the object. */
	store_release(&object->head, (uint64_t)plan->value_size << OBJECT_VALUE_SIZE_SHIFT |
	                                     (uint64_t)plan->flags << OBJECT_FLAGS_SHIFT | plan->key_size);
	failpoint("object.completed");
}
