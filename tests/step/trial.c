/* SPDX-License-Identifier: MIT */
/*
 * Each state is recovered from twice. First the way of the clients: another client reads and writes the subject while nobody
 * knows of the death yet; then the keeper cleans up. Then, from the same state, the way of the keeper: it cleans up first (or, if
 * it was the keeper that died, a new one takes charge), and clients come afterwards. Both ways end with the whole arena
 * verified, every other key read, everything removed (once by the client, once by eviction), and every segment free again.
 */
#include "tests/step/trial.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "daemon/growth.h"
#include "daemon/reclaim.h"

#define NEVER_MS 1000000000u
#define RUNS_MAX 60 /* of the keeper, until it has nothing more to do */

/* One recovery. */
struct recovery {
	struct trial *trial;
	struct scene *scene;
	struct stand_in keeper, victim, dead, other;
	struct reclaim *reclaim;
	const struct arena *arena;
};

static bool __attribute__((format(printf, 2, 3))) wrong(struct trial *trial, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (!trial->fault[0])
		vsnprintf(trial->fault, sizeof trial->fault, format, arguments);
	va_end(arguments);
	return false;
}

/* ---- the subjects ------------------------------------------------------------------------------------------------------ */

/* A write that changes nothing, but completes on its way what others left pending. */
static void come_by(struct cache_thread *thread, const struct key *key)
{
	struct write_request request = {
		.operation = WRITE_CAS, .key = key->text, .key_size = key->size, .expected_version = 1
	}; /* no clock has said that for long */
	struct write_result result;

	(void)cache_write(thread, &request, &result);
}

static void take(struct recovery *recovery, uint32_t subject, struct reading *ret_reading)
{
	const struct key *key = &recovery->scene->subjects[subject];

	reading_take(&recovery->other.thread, key->text, key->size, ret_reading);
}

static bool look(struct recovery *recovery, uint32_t subject, enum look how, struct reading *ret_reading)
{
	static const char *const names[LOOKS] = { "read at once", "read after a writer came by",
		                                  "read after the keeper cleaned up" };
	struct trial *trial = recovery->trial;
	const struct reading *allowed = trial->allowed[subject];
	enum rank rank = trial->reached[subject][how];

	take(recovery, subject, ret_reading);
	while (rank < RANK_AFTER && !reading_equal(ret_reading, &allowed[rank]))
		rank++;
	if (!reading_equal(ret_reading, &allowed[rank])) {
		for (rank = RANK_FOUND; rank < RANK_AFTER; rank++)
			if (reading_equal(ret_reading, &allowed[rank]))
				return wrong(trial, "subject %u, %s: the value is an older one again", subject,
				             names[how]);
		return wrong(trial,
		             "subject %u, %s: neither the value before nor the one after (%s, %u bytes, flags %u%s)",
		             subject, names[how], ret_reading->present ? "present" : "missing", ret_reading->size,
		             ret_reading->flags, ret_reading->expires ? ", expires" : "");
	}
	trial->reached[subject][how] = rank;
	if (how == LOOK_AFTER_WRITER && trial->reached[subject][LOOK_AT_ONCE] > rank)
		return wrong(trial, "subject %u: a writer that came by undid what a reader saw", subject);
	return true;
}

static bool look_at_all(struct recovery *recovery, bool keeper_first)
{
	struct reading reading;

	for (uint32_t i = 0; i < recovery->scene->subject_count; i++) {
		if (!keeper_first && !look(recovery, i, LOOK_AT_ONCE, &reading))
			return false;
		come_by(&recovery->other.thread, &recovery->scene->subjects[i]);
		if (!look(recovery, i, keeper_first ? LOOK_AFTER_KEEPER : LOOK_AFTER_WRITER, &reading))
			return false;
	}
	return true;
}

/* ---- another client goes on with a subject ----------------------------------------------------------------------------- */

static const enum write_operation follow_ups[] = { WRITE_SET,    WRITE_INCR, WRITE_DELETE, WRITE_ADD,
	                                           WRITE_APPEND, WRITE_INCR, WRITE_TOUCH };
#define FOLLOW_UPS (sizeof follow_ups / sizeof *follow_ups)
#define FOLLOW_UP_VALUE "17"

static bool follow_up(struct recovery *recovery, uint32_t subject, enum write_operation operation,
                      struct reading *expected)
{
	const struct key *key = &recovery->scene->subjects[subject];
	struct write_request request = { .operation = operation,
		                         .key = key->text,
		                         .key_size = key->size,
		                         .value = FOLLOW_UP_VALUE,
		                         .value_size = strlen(FOLLOW_UP_VALUE),
		                         .ttl_ms = operation == WRITE_TOUCH ? LIFE_MS : 0,
		                         .delta = 25 };
	struct write_result result = { 0 };
	struct reading reading, before = *expected;
	int code = cache_write(&recovery->other.thread, &request, &result);
	int foreseen = reading_foresee(&request, expected);

	if (code == -EAGAIN && recovery->scene->tight) {
		*expected = before;
		foreseen = code;
	}
	if (code != foreseen)
		return wrong(recovery->trial, "subject %u: operation %d by another client gives %d instead of %d",
		             subject, (int)operation, code, foreseen);
	take(recovery, subject, &reading);
	if (!reading_equal(&reading, expected))
		return wrong(recovery->trial, "subject %u: not what operation %d by another client left there", subject,
		             (int)operation);
	if (code == LARDER_OK && operation != WRITE_DELETE &&
	    (result.version <= before.version || result.version != reading.version))
		return wrong(recovery->trial, "subject %u: operation %d by another client gives no newer version",
		             subject, (int)operation);
	expected->version = reading.present ? reading.version : expected->version;
	return true;
}

/* All operations, one after another, with one subject of many and another one first each time. */
static bool follow_up_all(struct recovery *recovery, uint64_t first)
{
	uint32_t subject = (uint32_t)(first % recovery->scene->subject_count);
	struct reading expected;

	take(recovery, subject, &expected);
	for (uint64_t i = 0; i < FOLLOW_UPS; i++)
		if (!follow_up(recovery, subject, follow_ups[(first + i) % FOLLOW_UPS], &expected))
			return false;
	return true;
}

/* ---- the keeper -------------------------------------------------------------------------------------------------------- */

/* Lets the keeper work until nothing is left to do that does not wait for somebody. */
static void keep_house(struct recovery *recovery)
{
	for (int i = 0; i < RUNS_MAX; i++)
		if (reclaim_run(recovery->reclaim) > 1)
			return;
}

static bool is_done(const struct arena *arena)
{
	for (uint32_t segment = 0; segment < arena->segment_count; segment++) {
		enum segment_state state = segment_load(arena, segment).state;

		if (state == SEGMENT_OPEN || state == SEGMENT_CONDEMNED || state == SEGMENT_RETIRED)
			return false;
	}
	return true;
}

/*
 * Takes charge of the copy. A keeper that saw a client die has not been adopting at that moment; but all that it knew
 * beside the arena is how far each segment on its way to free was, and that it finds again.
 */
static bool take_charge(struct recovery *recovery)
{
	memset(recovery->keeper.thread.reader.line, 0, sizeof *recovery->keeper.thread.reader.line);
	recovery->reclaim = reclaim_create(&recovery->keeper.thread, NEVER_MS);
	expect(recovery->reclaim != NULL);
	expect_equal(reclaim_add_client(recovery->reclaim, &recovery->other.cache.control), 0);
	if (!recovery->trial->keeper)
		expect_equal(reclaim_add_client(recovery->reclaim, &recovery->victim.cache.control), 0);
	if (recovery->scene->dead)
		expect_equal(reclaim_add_client(recovery->reclaim, &recovery->dead.cache.control), 0);
	return true;
}

/* The deaths are noticed. */
static void bury(struct recovery *recovery)
{
	for (int i = 0; i < 3; i++)
		reclaim_run(recovery->reclaim);
	if (!recovery->trial->keeper)
		reclaim_remove_client(recovery->reclaim, &recovery->victim.cache.control);
	if (recovery->scene->dead)
		reclaim_remove_client(recovery->reclaim, &recovery->dead.cache.control);
	keep_house(recovery);
}

/* ---- the whole arena --------------------------------------------------------------------------------------------------- */

static void report(void *context, const char *sentence)
{
	struct trial *trial = context;

	wrong(trial, "verify: %s", sentence);
}

static bool verify(struct recovery *recovery, struct cache_verify_counts *ret_counts)
{
	return cache_verify(&recovery->other.thread, report, recovery->trial, ret_counts) == 0;
}

static bool others_intact(struct recovery *recovery)
{
	for (uint32_t i = 0; i < recovery->scene->other_count; i++)
		if (!other_intact(&recovery->other.thread, &recovery->scene->others[i]))
			return wrong(recovery->trial, "key %s of somebody else is wrong or missing",
			             recovery->scene->others[i].key.text);
	return true;
}

static bool remove_all(struct recovery *recovery)
{
	struct write_request request = { .operation = WRITE_DELETE };
	struct write_result result;

	for (uint32_t i = 0; i < recovery->scene->other_count + recovery->scene->subject_count; i++) {
		const struct key *key = i < recovery->scene->other_count
		                                ? &recovery->scene->others[i].key
		                                : &recovery->scene->subjects[i - recovery->scene->other_count];
		int code;

		request.key = key->text;
		request.key_size = key->size;
		code = cache_write(&recovery->other.thread, &request, &result);
		if (code != LARDER_OK && code != LARDER_MISS)
			return wrong(recovery->trial, "deleting key %s gives %d", key->text, code);
	}
	return true;
}

static bool is_clean(const struct arena *arena, uint32_t segment)
{
	for (uint32_t chunk = 0; chunk < arena->chunks; chunk++) {
		const struct chunk_header *header =
			(const struct chunk_header *)(const void *)(segment_base(arena, segment) + chunk * CHUNK_BYTES);

		if (load_relaxed(&header->chunks) != 0)
			return false;
	}
	return true;
}

/* Evicts every data segment. Nothing may remain but the index, and that empty, and what the keeper has in reserve. */
static bool drain(struct recovery *recovery)
{
	const struct arena *arena = recovery->arena;
	struct cache_verify_counts counts;
	uint32_t reserve = 0;

	store_relaxed(&arena->header->free_low_mark, arena->segment_count);
	reclaim_set_policy(recovery->reclaim, &policy_fifo); /* which keeps nothing, however much it is in use */
	for (int i = 0; i < RUNS_MAX && !is_done(arena); i++)
		reclaim_run(recovery->reclaim);
	for (uint32_t segment = arena->system_segments; segment < arena->segment_count; segment++) {
		enum segment_state state = segment_load(arena, segment).state;

		if (state == SEGMENT_INDEX && growth_reachable(arena, segment))
			continue;
		reserve += state == SEGMENT_RESERVE;
		if (state != SEGMENT_FREE && (state != SEGMENT_RESERVE || reserve > 1))
			return wrong(recovery->trial, "segment %u is lost: in state %d after everything was removed",
			             segment, (int)state);
		if (!is_clean(arena, segment))
			return wrong(recovery->trial, "segment %u is free, but still has runs of its former life",
			             segment);
	}
	if (!verify(recovery, &counts))
		return false;
	if (counts.entries != 0 || counts.intents != 0)
		return wrong(recovery->trial, "%u keys and %u intents are left after everything was removed",
		             (unsigned)counts.entries, (unsigned)counts.intents);
	return true;
}

/* ---- the two ways ------------------------------------------------------------------------------------------------------ */

static void begin(struct trial *trial, struct recovery *ret_recovery)
{
	struct stage *stage = &trial->scene->stage;

	image_copy_last(stage, &trial->image);
	ret_recovery->trial = trial;
	ret_recovery->scene = trial->scene;
	ret_recovery->reclaim = NULL;
	stand_in_begin(stage, &trial->image, ROLE_KEEPER, &ret_recovery->keeper);
	stand_in_begin(stage, &trial->image, ROLE_VICTIM, &ret_recovery->victim);
	stand_in_begin(stage, &trial->image, ROLE_DEAD, &ret_recovery->dead);
	stand_in_begin(stage, &trial->image, ROLE_OTHER, &ret_recovery->other);
	ret_recovery->arena = &ret_recovery->other.cache.arena;
}

static bool clients_first(struct trial *trial)
{
	struct recovery recovery;
	bool sound;

	begin(trial, &recovery);
	sound = verify(&recovery, NULL) && look_at_all(&recovery, false) && follow_up_all(&recovery, trial->states) &&
	        take_charge(&recovery);
	if (sound)
		bury(&recovery);
	sound = sound && others_intact(&recovery) && verify(&recovery, NULL) && remove_all(&recovery) &&
	        drain(&recovery);
	reclaim_destroy(recovery.reclaim);
	return sound;
}

static bool keeper_first(struct trial *trial)
{
	struct recovery recovery;
	bool sound;

	begin(trial, &recovery);
	take_charge(&recovery);
	bury(&recovery);
	sound = verify(&recovery, NULL) && others_intact(&recovery) && look_at_all(&recovery, true) &&
	        follow_up_all(&recovery, trial->states + FOLLOW_UPS / 2) && others_intact(&recovery) &&
	        drain(&recovery);
	reclaim_destroy(recovery.reclaim);
	return sound;
}

bool trial_recover(struct trial *trial)
{
	bool sound;

	trial->fault[0] = '\0';
	sound = clients_first(trial);
	sound = keeper_first(trial) && sound;
	trial->states++;
	return sound;
}

/* ---- beginning and end ------------------------------------------------------------------------------------------------- */

void trial_open(struct trial *trial, struct scene *scene, bool keeper)
{
	struct recovery recovery;

	memset(trial, 0, sizeof *trial);
	trial->scene = scene;
	trial->keeper = keeper;
	image_create(&scene->stage, &trial->image);
	begin(trial, &recovery);
	for (uint32_t i = 0; i < scene->subject_count; i++) {
		take(&recovery, i, &trial->allowed[i][RANK_FOUND]);
		come_by(&recovery.other.thread, &scene->subjects[i]);
		take(&recovery, i, &trial->allowed[i][RANK_COMPLETED]);
		trial->allowed[i][RANK_AFTER] = trial->allowed[i][RANK_COMPLETED];
	}
}

void trial_close(struct trial *trial)
{
	image_destroy(&trial->image);
}

bool trial_complete(struct trial *trial)
{
	struct recovery recovery;
	struct reading reading;

	begin(trial, &recovery);
	for (uint32_t i = 0; i < trial->scene->subject_count; i++) {
		take(&recovery, i, &reading);
		if (!reading_equal(&reading, &trial->allowed[i][RANK_AFTER]))
			return wrong(trial, "subject %u: not as it shall be after the operation", i);
	}
	return true;
}
