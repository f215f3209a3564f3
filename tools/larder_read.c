/* SPDX-License-Identifier: MIT */
#include "tools/larder_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/larder_command_line.h"
#include "tools/larder_json.h"

#define GET_BYTES (64u << 10)   /* values up to this are copied, larger ones written out in place */
#define MGET_KEYS 64u           /* looked up and shown together */
#define SCAN_KEYS 256u          /* asked for at once */
#define SCAN_BYTES (256u << 10) /* room for their keys; must exceed LARDER_KEY_MAX */

static void print_life(uint64_t ttl_ms)
{
	if (ttl_ms == 0)
		fputs("never", stdout);
	else
		printf("%" PRIu64 "ms", ttl_ms);
}

/* What is known of a key beside its value, as further members of an object. */
static void json_item(const struct larder_item *item)
{
	/* The version is text: readers that hold numbers as doubles would round it, and cas would then never succeed. */
	printf(",\"version\":\"%" PRIu64 "\",\"size\":%" PRIu64 ",\"ttl_ms\":", item->version, item->value_size);
	if (item->ttl_ms == 0)
		fputs("null", stdout);
	else
		printf("%" PRIu64, item->ttl_ms);
	printf(",\"flags\":%" PRIu32, item->flags);
}

static void json_found(struct bytes key, const void *data, size_t size, const struct larder_item *item)
{
	invocation_json_ok(key);
	json_item(item);
	putchar(',');
	json_bytes(stdout, "value", data, size);
	fputs("}\n", stdout);
}

static void show_value(const struct invocation *invocation, struct bytes key, const void *data, size_t size,
                       const struct larder_item *item)
{
	if (invocation->json) {
		json_found(key, data, size, item);
		return;
	}
	fwrite(data, 1, size, stdout);
	if (isatty(STDOUT_FILENO))
		putchar('\n');
}

enum outcome command_get(struct invocation *invocation)
{
	static unsigned char buffer[GET_BYTES];
	enum outcome outcome;
	struct larder_item item;
	struct larder_view view;
	struct bytes key;
	int result;

	outcome = invocation_key(invocation, 0, &key);
	if (outcome == OUTCOME_OK)
		outcome = invocation_attach(invocation);
	if (outcome != OUTCOME_OK)
		return outcome;
	/* Copy first: whoever reads our output may be slow, and a view would hold memory back meanwhile. */
	result = larder_get(invocation->cache, key.data, key.size, buffer, sizeof buffer, &item);
	if (result == 0) {
		show_value(invocation, key, buffer, item.value_size, &item);
		return OUTCOME_OK;
	}
	if (result == LARDER_TRUNCATED)
		result = larder_view(invocation->cache, key.data, key.size, &view);
	if (result != 0)
		return invocation_result(invocation, key, result);
	show_value(invocation, key, view.data, view.size, &view.item);
	larder_release(invocation->cache, &view);
	return OUTCOME_OK;
}

/* Shows up to MGET_KEYS keys. */
static enum outcome mget_batch(struct invocation *invocation, const struct bytes *keys, size_t count)
{
	struct larder_mview_entry entries[MGET_KEYS] = { 0 };
	enum outcome outcome = OUTCOME_OK;
	int result;

	for (size_t i = 0; i < count; i++) {
		entries[i].key = keys[i].data;
		entries[i].key_size = keys[i].size;
	}
	result = larder_mview(invocation->cache, entries, count);
	if (result != 0)
		return invocation_result(invocation, keys[0], result);
	for (size_t i = 0; i < count; i++) {
		const struct larder_view *view = &entries[i].view;

		if (entries[i].result != 0) {
			outcome = outcome_worse(outcome, invocation_result(invocation, keys[i], entries[i].result));
		} else if (invocation->json) {
			json_found(keys[i], view->data, view->size, &view->item);
		} else {
			text_escape(stdout, keys[i].data, keys[i].size);
			putchar('\t');
			text_escape(stdout, view->data, view->size);
			putchar('\n');
		}
	}
	larder_mrelease(invocation->cache, entries, count);
	return outcome;
}

enum outcome command_mget(struct invocation *invocation)
{
	struct bytes *keys;
	enum outcome outcome = invocation_keys(invocation, &keys);

	if (outcome != OUTCOME_OK)
		return outcome;
	outcome = invocation_attach(invocation);
	for (size_t i = 0; i < invocation->operand_count && outcome <= OUTCOME_NO; i += MGET_KEYS) {
		size_t left = invocation->operand_count - i;

		outcome = outcome_worse(outcome, mget_batch(invocation, keys + i, left < MGET_KEYS ? left : MGET_KEYS));
	}
	free(keys);
	return outcome;
}

enum outcome command_ttl(struct invocation *invocation)
{
	enum outcome outcome;
	struct larder_item item;
	struct bytes key;
	char nothing;
	int result;

	outcome = invocation_key(invocation, 0, &key);
	if (outcome == OUTCOME_OK)
		outcome = invocation_attach(invocation);
	if (outcome != OUTCOME_OK)
		return outcome;
	result = larder_get(invocation->cache, key.data, key.size, &nothing, 0, &item);
	if (result != 0 && result != LARDER_TRUNCATED)
		return invocation_result(invocation, key, result);
	if (invocation->json) {
		invocation_json_ok(key);
		json_item(&item);
		fputs("}\n", stdout);
	} else {
		print_life(item.ttl_ms);
		putchar('\n');
	}
	return OUTCOME_OK;
}

static void show_key(const struct invocation *invocation, const struct larder_scan_entry *entry)
{
	if (invocation->json) {
		putchar('{');
		json_bytes(stdout, "key", entry->key, entry->key_size);
		json_item(&entry->item);
		fputs("}\n", stdout);
		return;
	}
	if (invocation->given & OPTION_LONG) {
		printf("%20" PRIu64 " ", entry->item.version);
		print_life(entry->item.ttl_ms);
		printf(" %" PRIu64 " %" PRIu32 " ", entry->item.value_size, entry->item.flags);
	}
	if (invocation->given & OPTION_ZERO) {
		fwrite(entry->key, 1, entry->key_size, stdout);
		putchar('\0');
	} else {
		text_escape(stdout, entry->key, entry->key_size);
		putchar('\n');
	}
}

enum outcome command_scan(struct invocation *invocation)
{
	static struct larder_scan_entry entries[SCAN_KEYS];
	static unsigned char buffer[SCAN_BYTES];
	struct larder_cursor cursor = { 0 };
	struct bytes prefix = { "", 0 };
	uint64_t left = invocation->given & OPTION_LIMIT ? invocation->limit : UINT64_MAX;
	enum outcome outcome = OUTCOME_OK;
	int result = 0;

	if (invocation->json && (invocation->given & (OPTION_LONG | OPTION_ZERO)))
		return invocation_fail(invocation, OUTCOME_USAGE,
		                       "--json shows everything already; leave -l and -0 away");
	if (invocation->operand_count > 0)
		outcome = invocation_bytes(invocation, 0, &prefix);
	if (outcome == OUTCOME_OK && prefix.size > LARDER_KEY_MAX)
		outcome = invocation_fail(invocation, OUTCOME_USAGE,
		                          "the prefix has %zu bytes; no key has more than %d", prefix.size,
		                          LARDER_KEY_MAX);
	if (outcome == OUTCOME_OK)
		outcome = invocation_attach(invocation);
	if (outcome != OUTCOME_OK)
		return outcome;
	while (result == 0 && left > 0) {
		size_t count;

		result = larder_scan(invocation->cache, prefix.data, prefix.size, &cursor, entries,
		                     left < SCAN_KEYS ? (size_t)left : SCAN_KEYS, buffer, sizeof buffer, &count);
		if (result != 0 && result != LARDER_END)
			return invocation_fail(invocation, OUTCOME_FAILED, "%s", larder_strerror(result));
		for (size_t i = 0; i < count; i++)
			show_key(invocation, &entries[i]);
		left -= count;
	}
	return OUTCOME_OK;
}
