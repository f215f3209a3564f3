/* SPDX-License-Identifier: MIT */
#include "tools/larder_stat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- the numbers --------------------------------------------------------------------------------------------------- */

enum stat_kind { STAT_COUNT, STAT_BYTES, STAT_MILLISECONDS, STAT_ACCESS };

/* Every number of struct larder_stat behind its size, in the order in which they are shown. */
#define STAT_TABLE(X) \
	X(arena_bytes, STAT_BYTES) \
	X(page_bytes, STAT_BYTES) \
	X(segment_bytes, STAT_BYTES) \
	X(segments, STAT_COUNT) \
	X(segments_free, STAT_COUNT) \
	X(segments_data, STAT_COUNT) \
	X(segments_index, STAT_COUNT) \
	X(segments_condemned, STAT_COUNT) \
	X(segments_system, STAT_COUNT) \
	X(value_size_max, STAT_BYTES) \
	X(access, STAT_ACCESS) \
	X(epoch, STAT_COUNT) \
	X(clients, STAT_COUNT) \
	X(entries, STAT_COUNT) \
	X(key_bytes, STAT_BYTES) \
	X(value_bytes, STAT_BYTES) \
	X(used_bytes, STAT_BYTES) \
	X(gets, STAT_COUNT) \
	X(hits, STAT_COUNT) \
	X(sets, STAT_COUNT) \
	X(deletes, STAT_COUNT) \
	X(expired_segments, STAT_COUNT) \
	X(evicted_segments, STAT_COUNT) \
	X(uptime_ms, STAT_MILLISECONDS) \
	X(compacted_segments, STAT_COUNT) \
	X(expired_objects, STAT_COUNT) \
	X(evicted_objects, STAT_COUNT) \
	X(moved_objects, STAT_COUNT) \
	X(evicted_age_ms, STAT_MILLISECONDS) \
	X(index_splits, STAT_COUNT) \
	X(index_rebuilds, STAT_COUNT) \
	X(index_merges, STAT_COUNT) \
	X(index_splitting, STAT_COUNT) \
	X(estimate_keys, STAT_COUNT) \
	X(estimate_samples, STAT_COUNT) \
	X(arena_bytes_wanted, STAT_BYTES) \
	X(arena_bytes_max, STAT_BYTES) \
	X(quota_segments, STAT_COUNT) \
	X(displaced_objects, STAT_COUNT)

static const struct stat_field {
	const char *name;
	size_t offset;
	enum stat_kind kind;
} stat_fields[] = {
#define STAT_FIELD(name, kind) { #name, offsetof(struct larder_stat, name), kind },
	STAT_TABLE(STAT_FIELD)
#undef STAT_FIELD
};

#define STAT_FIELDS (sizeof stat_fields / sizeof stat_fields[0])

#define SIZE_OF_FIELD(field) sizeof(((struct larder_stat *)0)->field)

_Static_assert(sizeof(struct larder_stat) - SIZE_OF_FIELD(estimated_misses) - SIZE_OF_FIELD(evicted_ages) -
                               SIZE_OF_FIELD(classes) - SIZE_OF_FIELD(tenants) ==
                       sizeof(size_t) + STAT_FIELDS * sizeof(uint64_t),
               "STAT_TABLE names every number of struct larder_stat");

static uint64_t field_value(const struct larder_stat *stat, const struct stat_field *field)
{
	uint64_t value;

	memcpy(&value, (const char *)stat + field->offset, sizeof value);
	return value;
}

static const char *access_name(uint64_t access)
{
	return access == LARDER_READ_ONLY ? "read-only" : "shared-write";
}

static void stat_json(const struct larder_stat *stat)
{
	putchar('{');
	for (size_t i = 0; i < STAT_FIELDS; i++) {
		uint64_t value = field_value(stat, &stat_fields[i]);

		if (stat_fields[i].kind == STAT_ACCESS)
			printf("\"%s\":\"%s\",", stat_fields[i].name, access_name(value));
		else
			printf("\"%s\":%" PRIu64 ",", stat_fields[i].name, value);
	}
}

static void stat_text(const struct larder_stat *stat)
{
	for (size_t i = 0; i < STAT_FIELDS; i++) {
		uint64_t value = field_value(stat, &stat_fields[i]);
		char human[TEXT_HUMAN_BYTES];

		printf("%-24s ", stat_fields[i].name);
		switch (stat_fields[i].kind) {
		case STAT_COUNT:
			printf("%" PRIu64 "\n", value);
			break;
		case STAT_BYTES:
			printf("%" PRIu64 " (%s)\n", value, text_human_bytes(value, human));
			break;
		case STAT_MILLISECONDS:
			printf("%" PRIu64 " (%s)\n", value, text_human_duration(value, human));
			break;
		case STAT_ACCESS:
			printf("%s\n", access_name(value));
			break;
		}
	}
}

/* A quotient that is shown beside the fields; there is none where nothing was counted yet. */
static void show_quotient(const struct invocation *invocation, const char *name, double dividend, uint64_t divisor,
                          const char *json_end)
{
	if (invocation->json)
		printf("\"%s\":", name);
	else
		printf("%-24s ", name);
	if (divisor == 0)
		fputs(invocation->json ? "null" : "-", stdout);
	else
		printf("%.4f", dividend / (double)divisor);
	fputs(invocation->json ? json_end : "\n", stdout);
}

/* ---- the age of what was evicted ----------------------------------------------------------------------------------- */

static uint64_t age_limit_ms(uint32_t age)
{
	return UINT64_C(1) << age;
}

/* The least power of two of a millisecond than which a share of the evicted objects was younger; 0: none was evicted. */
static uint64_t younger_than_ms(const struct larder_stat *stat, double share)
{
	uint64_t all = 0, younger = 0;

	for (uint32_t age = 0; age < LARDER_STAT_AGES; age++)
		all += stat->evicted_ages[age];
	for (uint32_t age = 0; all && age < LARDER_STAT_AGES; age++) {
		younger += stat->evicted_ages[age];
		if ((double)younger >= share * (double)all)
			return age_limit_ms(age);
	}
	return 0;
}

static void ages_json(const struct larder_stat *stat)
{
	const char *separator = "";

	if (stat->evicted_objects == 0) {
		fputs(",\"evicted_age\":null", stdout);
		return;
	}
	printf(",\"evicted_age\":{\"mean_ms\":%.0f,\"median_below_ms\":%" PRIu64 ",\"p90_below_ms\":%" PRIu64
	       ",\"histogram\":[",
	       (double)stat->evicted_age_ms / (double)stat->evicted_objects, younger_than_ms(stat, 0.5),
	       younger_than_ms(stat, 0.9));
	for (uint32_t age = 0; age < LARDER_STAT_AGES; age++) {
		if (stat->evicted_ages[age] == 0)
			continue;
		printf("%s{\"below_ms\":%" PRIu64 ",\"objects\":%" PRIu64 "}", separator, age_limit_ms(age),
		       stat->evicted_ages[age]);
		separator = ",";
	}
	fputs("]}", stdout);
}

static void ages_text(const struct larder_stat *stat)
{
	char mean[TEXT_HUMAN_BYTES], median[TEXT_HUMAN_BYTES], most[TEXT_HUMAN_BYTES];

	if (stat->evicted_objects == 0)
		return;
	text_human_duration(stat->evicted_age_ms / stat->evicted_objects, mean);
	text_human_duration(younger_than_ms(stat, 0.5), median);
	text_human_duration(younger_than_ms(stat, 0.9), most);
	printf("\nAge of what was evicted: %s in the mean; half of it below %s, nine tenths below %s\n", mean, median,
	       most);
}

/* ---- the estimate -------------------------------------------------------------------------------------------------- */

static const double estimate_memory[LARDER_STAT_ESTIMATES] = { 0.25, 0.5, 1, 2, 4 };

static void estimates_json(const struct larder_stat *stat)
{
	fputs(",\"estimated_miss_ratios\":[", stdout);
	for (int i = 0; i < LARDER_STAT_ESTIMATES; i++) {
		printf("%s{\"memory\":%g,\"miss_ratio\":", i ? "," : "", estimate_memory[i]);
		if (stat->estimated_misses[i] == LARDER_STAT_UNKNOWN)
			fputs("null}", stdout);
		else
			printf("%.4f}", (double)stat->estimated_misses[i] / 1e6);
	}
	fputs("]", stdout);
}

static void estimates_text(const struct larder_stat *stat)
{
	if (stat->estimated_misses[0] == LARDER_STAT_UNKNOWN) {
		printf("\nEstimate of misses with more or less memory: not enough samples yet\n");
		return;
	}
	printf("\nEstimate of misses (LRU), from %" PRIu64 " lookups of a sample of keys\nmemory    ",
	       stat->estimate_samples);
	for (int i = 0; i < LARDER_STAT_ESTIMATES; i++)
		printf("%8gx", estimate_memory[i]);
	printf("\nmiss ratio");
	for (int i = 0; i < LARDER_STAT_ESTIMATES; i++)
		printf("%9.4f", (double)stat->estimated_misses[i] / 1e6);
	putchar('\n');
}

/* ---- the tenants --------------------------------------------------------------------------------------------------- */

static bool tenant_shown(const struct larder_stat *stat, int number)
{
	return number == 0 || stat->tenants[number].kind || stat->tenants[number].used_bytes;
}

static const char *tenant_kind(const struct larder_stat_tenant *tenant)
{
	return tenant->kind == 1 ? "user" : tenant->kind == 2 ? "group" : "others";
}

static void tenants_json(const struct larder_stat *stat)
{
	fputs(",\"tenants\":[", stdout);
	for (int i = 0; i < LARDER_STAT_TENANTS; i++) {
		const struct larder_stat_tenant *tenant = &stat->tenants[i];

		if (tenant_shown(stat, i))
			printf("%s{\"kind\":\"%s\",\"id\":%" PRIu64 ",\"used_bytes\":%" PRIu64
			       ",\"guarantee_bytes\":%" PRIu64 ",\"limit_bytes\":%" PRIu64 "}",
			       i ? "," : "", tenant_kind(tenant), tenant->id, tenant->used_bytes,
			       tenant->guarantee_bytes, tenant->limit_bytes);
	}
	fputs("]", stdout);
}

/* Only where there are quotas. */
static void tenants_text(const struct larder_stat *stat)
{
	char used[TEXT_HUMAN_BYTES], guarantee[TEXT_HUMAN_BYTES], limit[TEXT_HUMAN_BYTES], name[64];
	bool any = false;

	for (int i = 1; i < LARDER_STAT_TENANTS; i++)
		any |= tenant_shown(stat, i);
	if (!any)
		return;
	printf("\n%-20s %12s %12s %12s\n", "tenant", "used", "guarantee", "limit");
	for (int i = 0; i < LARDER_STAT_TENANTS; i++) {
		const struct larder_stat_tenant *tenant = &stat->tenants[i];

		if (!tenant_shown(stat, i))
			continue;
		snprintf(name, sizeof name, tenant->kind ? "%s %" PRIu64 : "%s", tenant_kind(tenant), tenant->id);
		printf("%-20s %12s %12s %12s\n", name, text_human_bytes(tenant->used_bytes, used),
		       tenant->guarantee_bytes ? text_human_bytes(tenant->guarantee_bytes, guarantee) : "-",
		       tenant->limit_bytes ? text_human_bytes(tenant->limit_bytes, limit) : "-");
	}
}

/* ---- the classes --------------------------------------------------------------------------------------------------- */

static const char *pool_name(uint32_t pool)
{
	return pool ? "main" : "probation";
}

static void class_json(uint32_t pool, uint32_t ttl_class, const struct larder_stat_class *class)
{
	printf("{\"pool\":\"%s\",\"ttl_class\":%" PRIu32 ",", pool_name(pool), ttl_class);
	if (ttl_class == 0)
		fputs("\"ttl_below_s\":null,", stdout);
	else
		printf("\"ttl_below_s\":%" PRIu64 ",", UINT64_C(1) << ttl_class);
	printf("\"segments\":%" PRIu64 ",\"used_bytes\":%" PRIu64 ",\"objects\":%" PRIu64 ",\"live_bytes\":%" PRIu64
	       ",\"expired_bytes\":%" PRIu64 ",\"dead_bytes\":%" PRIu64 "}",
	       class->segments, class->used_bytes, class->objects, class->live_bytes, class->expired_bytes,
	       class->dead_bytes);
}

static void class_text(uint32_t pool, uint32_t ttl_class, const struct larder_stat_class *class)
{
	char life[TEXT_HUMAN_BYTES] = "unlimited", used[TEXT_HUMAN_BYTES], live[TEXT_HUMAN_BYTES];
	char expired[TEXT_HUMAN_BYTES], dead[TEXT_HUMAN_BYTES];

	if (ttl_class)
		text_human_duration(1000 * (UINT64_C(1) << ttl_class), life);
	printf("%-10s %-12s %8" PRIu64 " %12s %10" PRIu64 " %12s %12s %12s\n", pool_name(pool), life, class->segments,
	       text_human_bytes(class->used_bytes, used), class->objects, text_human_bytes(class->live_bytes, live),
	       text_human_bytes(class->expired_bytes, expired), text_human_bytes(class->dead_bytes, dead));
}

/* Return: how many have segments. */
static uint32_t show_classes(const struct larder_stat *stat, bool json)
{
	uint32_t shown = 0;

	for (uint32_t pool = 0; pool < LARDER_STAT_POOLS; pool++) {
		for (uint32_t ttl_class = 0; ttl_class < LARDER_STAT_CLASSES; ttl_class++) {
			const struct larder_stat_class *class = &stat->classes[pool][ttl_class];

			if (class->segments == 0)
				continue;
			if (!json && shown == 0)
				printf("\n%-10s %-12s %8s %12s %10s %12s %12s %12s\n", "pool", "life below", "segments",
				       "used", "objects", "live", "expired", "dead");
			if (json && shown)
				putchar(',');
			shown++;
			json ? class_json(pool, ttl_class, class) : class_text(pool, ttl_class, class);
		}
	}
	return shown;
}

/* ---- the command --------------------------------------------------------------------------------------------------- */

enum outcome command_stat(struct invocation *invocation)
{
	struct larder_stat stat = { .size = sizeof stat };
	enum outcome outcome = invocation_attach(invocation);
	int result;

	if (outcome != OUTCOME_OK)
		return outcome;
	result = larder_stat(invocation->cache, &stat);
	if (result != 0)
		return invocation_fail(invocation, OUTCOME_FAILED, "%s", larder_strerror(result));
	if (invocation->json)
		stat_json(&stat);
	else
		stat_text(&stat);
	show_quotient(invocation, "hit_ratio", (double)stat.hits, stat.gets, ",");
	/* Counted while others write, the sums may disagree for a moment, so the difference may be below zero. */
	show_quotient(invocation, "overhead_bytes_per_entry",
	              (double)stat.used_bytes - (double)stat.key_bytes - (double)stat.value_bytes, stat.entries, "");
	if (!invocation->json) {
		ages_text(&stat);
		estimates_text(&stat);
		tenants_text(&stat);
		show_classes(&stat, false);
		return OUTCOME_OK;
	}
	ages_json(&stat);
	estimates_json(&stat);
	tenants_json(&stat);
	fputs(",\"classes\":[", stdout);
	show_classes(&stat, true);
	puts("]}");
	return OUTCOME_OK;
}
