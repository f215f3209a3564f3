/* SPDX-License-Identifier: MIT */
#include "cache/usage.h"

#include "base/failpoint.h"

static uint64_t at_most_32_bits(uint64_t number)
{
	return number < UINT32_MAX ? number : UINT32_MAX;
}

void usage_note(struct cache_thread *thread, enum usage_kind kind, uint64_t hash, uint64_t bytes, uint64_t life_ms)
{
	struct control_page *page = thread->cache->control.page;
	uint64_t key = hash >> USAGE_SAMPLE_BITS;
	struct usage *usage;

	if ((key & (USAGE_THRESHOLD_MAX - 1)) >= load_relaxed(&thread->cache->arena.header->usage_threshold))
		return;
	/* A thread that reads one key all the time tells nothing new: that hits whatever the size of the memory. */
	if (kind == USAGE_HIT && thread->recent_usage == hash)
		return;
	thread->recent_usage = hash;
	usage = &page->usages[fetch_add_relaxed(&page->usage_count, 1) % USAGES];
	failpoint("usage.claimed");
	store_relaxed(&usage->object, at_most_32_bits(life_ms) << 32 | at_most_32_bits(bytes));
	store_relaxed(&usage->key, key << 8 | kind);
}

bool usage_next(const struct control *client, uint64_t *seen, struct usage_report *ret_report, uint64_t *ret_lost)
{
	uint64_t count = load_relaxed(&client->page->usage_count);

	*ret_lost = count - *seen > USAGES ? count - *seen - USAGES : 0;
	*seen += *ret_lost;
	while (*seen != count) {
		struct usage *usage = &client->page->usages[(*seen)++ % USAGES];
		uint64_t key = load_relaxed(&usage->key), object = load_relaxed(&usage->object);

		if ((key & UINT8_MAX) < USAGE_MISS || (key & UINT8_MAX) > USAGE_DELETE)
			continue; /* its writer did not come that far yet, or ever */
		store_relaxed(&usage->key, 0);
		*ret_report = (struct usage_report){ key & UINT8_MAX, key >> 8, object & UINT32_MAX, object >> 32 };
		return true;
	}
	return false;
}
