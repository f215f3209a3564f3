/* SPDX-License-Identifier: MIT */
#include "tests/step/scene.h"

#include <stdlib.h>

#include "cache/heat.h"

#define LARGE 4000u          /* bytes of a value of which few fill the arena */
#define SEED_STRIDE 1000000u /* numbers of keys that one seed has */

void scene_open(struct scene *scene, uint64_t seed, uint32_t subjects, bool usual_keys)
{
	memset(scene, 0, sizeof *scene);
	stage_open(&scene->stage);
	scene->next = (uint32_t)(seed % (UINT32_MAX / SEED_STRIDE)) * SEED_STRIDE;
	scene->subject_count = subjects;
	for (uint32_t i = 0; i < subjects; i++)
		do
			scene->subjects[i] = key_of(scene->stage.arena, scene->next++);
		while (hash_is_short(scene->subjects[i].size) != usual_keys);
}

void scene_close(struct scene *scene)
{
	stage_close(&scene->stage);
}

void scene_join(struct scene *scene, uint32_t subject)
{
	keys_of_home(scene->stage.arena, hash_home(scene->subjects[0].hash, scene->stage.arena->homes), 1, &scene->next,
	             &scene->subjects[subject]);
}

/* ---- writing ----------------------------------------------------------------------------------------------------------- */

static int store(struct scene *scene, const struct key *key, const void *value, size_t size, uint64_t ttl_ms)
{
	struct write_request request = { .operation = WRITE_SET,
		                         .key = key->text,
		                         .key_size = key->size,
		                         .value = value,
		                         .value_size = size,
		                         .ttl_ms = ttl_ms };
	struct write_result result;

	return cache_write(&scene->stage.other.thread, &request, &result);
}

/* The value of somebody else's key is the name of the key, over and over. */
static void repeat_name(const struct other *other, char text[VALUE_MAX])
{
	for (uint32_t i = 0; i < other->size; i++)
		text[i] = other->key.text[i % other->key.size];
}

static bool add_other(struct scene *scene, const struct key *key, uint32_t size, uint64_t ttl_ms)
{
	struct other *other = &scene->others[scene->other_count];
	char text[VALUE_MAX];

	expect(scene->other_count < OTHERS_MAX && size <= VALUE_MAX);
	*other = (struct other){ .key = *key, .size = size };
	repeat_name(other, text);
	if (store(scene, key, text, size, ttl_ms))
		return false;
	scene->other_count++;
	return true;
}

static void add_small(struct scene *scene, const struct key *key)
{
	expect(add_other(scene, key, key->number * 7 % 60, key->number % 4 ? 0 : LIFE_MS));
}

void scene_fill(struct scene *scene, uint32_t count)
{
	while (count-- > 0) {
		struct key key = key_of(scene->stage.arena, scene->next++);

		add_small(scene, &key);
	}
}

void scene_crowd(struct scene *scene, uint32_t count)
{
	struct key keys[CHAIN_SLOTS];

	expect(count <= CHAIN_SLOTS);
	keys_of_home(scene->stage.arena, hash_home(scene->subjects[0].hash, scene->stage.arena->homes), count,
	             &scene->next, keys);
	for (uint32_t i = 0; i < count; i++)
		add_small(scene, &keys[i]);
}

void scene_fill_up(struct scene *scene, uint32_t segments_free)
{
	struct key key;

	do
		key = key_of(scene->stage.arena, scene->next++);
	while ((segments_free == 0 || scene_count(scene, SEGMENT_FREE) > segments_free) &&
	       add_other(scene, &key, LARGE, 0));
}

void scene_fill_short(struct scene *scene, uint32_t count, uint64_t ttl_ms)
{
	while (count-- > 0) {
		struct key key = key_of(scene->stage.arena, scene->next++);

		expect(add_other(scene, &key, key.number % 100, ttl_ms));
		scene->others[scene->other_count - 1].fragile = true;
	}
}

void scene_waste(struct scene *scene)
{
	uint32_t first = scene->other_count, count = (uint32_t)(scene->stage.arena->segment_bytes / LARGE) * 3 / 2;
	char text[VALUE_MAX];

	for (uint32_t i = 0; i < count; i++) {
		struct key key = key_of(scene->stage.arena, scene->next++);

		expect(add_other(scene, &key, LARGE, 0));
	}
	for (uint32_t i = first; i < scene->other_count; i++) {
		repeat_name(&scene->others[i], text);
		expect_equal(store(scene, &scene->others[i].key, text, LARGE, 0), 0);
	}
}

void scene_warm(struct scene *scene, uint32_t times)
{
	struct cache_thread *thread = &scene->stage.other.thread;

	while (times-- > 0) {
		memset(thread->recent, 0, sizeof thread->recent); /* or a use soon after another would not count */
		for (uint32_t i = 0; i < scene->other_count; i++)
			expect(other_intact(thread, &scene->others[i]));
		for (uint32_t i = 0; i < scene->subject_count; i++)
			(void)cache_get(thread, scene->subjects[i].text, scene->subjects[i].size, NULL, 0, NULL);
		heat_flush(thread);
	}
}

uint32_t scene_count(const struct scene *scene, enum segment_state state)
{
	uint32_t count = 0;

	for (uint32_t segment = 0; segment < scene->stage.arena->segment_count; segment++)
		count += segment_load(scene->stage.arena, segment).state == state;
	return count;
}

void scene_make_fragile(struct scene *scene)
{
	for (uint32_t i = 0; i < scene->other_count; i++)
		scene->others[i].fragile = true;
}

void scene_put(struct scene *scene, uint32_t subject, const struct value *value)
{
	struct write_request request = { .operation = value->counter ? WRITE_INCR : WRITE_SET,
		                         .key = scene->subjects[subject].text,
		                         .key_size = scene->subjects[subject].size,
		                         .ttl_ms = value->ttl_ms,
		                         .flags = value->flags,
		                         .incr_flags = LARDER_INCR_CREATE };
	struct write_result result;

	if (!value->text)
		return;
	if (value->counter) {
		request.initial = strtoll(value->text, NULL, 10);
	} else {
		request.value = value->text;
		request.value_size = strlen(value->text);
	}
	expect_equal(cache_write(&scene->stage.other.thread, &request, &result), 0);
	if (subject == 0)
		scene->version = result.version;
}

struct bucket *scene_bucket(const struct scene *scene, uint32_t *ret_segment)
{
	return index_home(scene->stage.arena, scene->subjects[0].hash, ret_segment);
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

bool other_intact(struct cache_thread *thread, const struct other *other)
{
	char text[VALUE_MAX], found[VALUE_MAX];
	struct larder_item item;
	int result = cache_get(thread, other->key.text, other->key.size, found, VALUE_MAX, &item);

	if (result == LARDER_MISS)
		return other->fragile;
	repeat_name(other, text);
	return result == LARDER_OK && item.value_size == other->size && memcmp(text, found, other->size) == 0;
}
