/* SPDX-License-Identifier: MIT */
/*
 * A request is one page view by one user: read the session, put the page together from its fragments, count the view;
 * now and then change the session, log out, or limit the rate. A session is written by one worker only, and read and
 * touched by all: ledger.h says how that makes every read checkable.
 */
#include "tools/demo/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/demo/random.h"
#include "tools/demo/value.h"

#define CAS_ATTEMPTS 16
#define LATE_TICK_MS 1000 /* a view's life goes by the kernel's last tick, which comes late on a busy host */
#define HELD_VIEWS 2      /* each keeps a segment of memory from being reused, so not many ... */
#define HELD_REQUESTS 16  /* ... and not for long */

/* Of a hundred requests (of those to the user's own worker, for what changes the session). */
#define PERCENT_VIEW 50 /* read the session in place rather than by copy */
#define PERCENT_HELD 10 /* keep that view over the next requests */
#define PERCENT_PAGE 60 /* assemble a page from fragments */
#define PERCENT_COUNT 3 /* count the page view */
#define PERCENT_READ_COUNT 5
#define PERCENT_RATE 2
#define PERCENT_TOUCH 2
#define PERCENT_CHANGE 3
#define PERCENT_LOGOUT 1

/* A view kept for a while; it must not change meanwhile, whatever happens to its key. */
struct held_view {
	struct larder_view view;
	uint32_t user;
	uint64_t sequence;
};

struct worker {
	const struct shop *shop;
	larder *cache;
	struct tally *tally;
	unsigned tally_number;
	uint32_t number;
	uint64_t random;
	uint64_t counter_serial;
	struct counter_note *notes; /* [pages], this worker's */
	uint64_t *seen;             /* [users]: the highest sequence read or written */
	struct held_view held[HELD_VIEWS];
	unsigned held_next;
	uint64_t requests;
	char buffers[WORKLOAD_FRAGMENTS_PER_PAGE][VALUE_BYTES_MAX];
	char keys[WORKLOAD_FRAGMENTS_PER_PAGE][KEY_BYTES_MAX];
};

static bool is_own(const struct worker *worker, uint32_t user)
{
	return user % worker->shop->workload.workers == worker->number;
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

/* completed: what the ledger said before the read began. */
static void check_session(struct worker *worker, uint32_t user, uint64_t completed, const char *value, size_t size,
                          const struct larder_item *item, uint64_t *ret_sequence)
{
	struct tally *tally = worker->tally;
	uint64_t begun = worker->shop->ledger[user].begun, sequence = 0;
	char key[KEY_BYTES_MAX];
	size_t key_size = key_session(key, user);
	uint32_t named = 0;

	tally->checked_bytes += size;
	if (!value_intact(value, size, key, key_size) || !value_session_parse(value, size, &named, &sequence)) {
		tally_wrong(tally, "session of user %u: %zu bytes that do not match their own check sum and key", user,
		            size);
		return;
	}
	if (named != user)
		tally_wrong(tally, "session of user %u: it is user %u's", user, named);
	if (sequence < completed)
		tally_wrong(tally, "session of user %u: stale: read %llu after %llu was completed", user,
		            (unsigned long long)sequence, (unsigned long long)completed);
	if (sequence > begun)
		tally_wrong(tally, "session of user %u: read %llu, but only %llu was begun", user,
		            (unsigned long long)sequence, (unsigned long long)begun);
	if (sequence < worker->seen[user])
		tally_wrong(tally, "session of user %u: read %llu after %llu", user, (unsigned long long)sequence,
		            (unsigned long long)worker->seen[user]);
	else
		worker->seen[user] = sequence;
	if (item->flags != (uint32_t)sequence)
		tally_wrong(tally, "session of user %u: flags %u with value %llu", user, item->flags,
		            (unsigned long long)sequence);
	if (item->ttl_ms == 0 || item->ttl_ms > WORKLOAD_SESSION_LIFE_MAX_MS + LATE_TICK_MS)
		tally_wrong(tally, "session of user %u: it would live %llu ms", user, (unsigned long long)item->ttl_ms);
	*ret_sequence = sequence;
}

/* Whether a write's result is in order; counts it otherwise. */
static bool write_result_known(struct tally *tally, const char *call, int result)
{
	if (result == -EAGAIN)
		tally->refused++;
	else if (result < 0)
		tally_failed(tally, call, result);
	return result >= 0;
}

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

static void held_view_release(struct worker *worker, struct held_view *held)
{
	char key[KEY_BYTES_MAX];
	size_t key_size = key_session(key, held->user);
	uint64_t sequence = 0;
	uint32_t named;

	if (held->view.data == NULL)
		return;
	if (!value_intact(held->view.data, held->view.size, key, key_size) ||
	    !value_session_parse(held->view.data, held->view.size, &named, &sequence) || sequence != held->sequence)
		tally_wrong(worker->tally, "session of user %u: a view changed while it was held", held->user);
	larder_release(worker->cache, &held->view);
	worker->tally->held_views++;
}

static void release_held_views(struct worker *worker)
{
	for (unsigned i = 0; i < HELD_VIEWS; i++)
		held_view_release(worker, &worker->held[i]);
}

/* Return: 0, LARDER_MISS, -errno. ret_item is filled on 0. */
static int session_read(struct worker *worker, uint32_t user, bool in_place, struct larder_item *ret_item)
{
	struct tally *tally = worker->tally;
	uint64_t completed = worker->shop->ledger[user].completed, begun, sequence = 0;
	enum call_kind kind = in_place ? CALL_VIEW : CALL_GET;
	char key[KEY_BYTES_MAX], *buffer = worker->buffers[0];
	size_t key_size = key_session(key, user);
	struct larder_view view;
	int result;

	begun = tally_begin(tally, kind);
	if (in_place)
		result = larder_view(worker->cache, key, key_size, &view);
	else
		result = larder_get(worker->cache, key, key_size, buffer, VALUE_BYTES_MAX, ret_item);
	tally_end(tally, kind, begun);
	tally->lookups++;
	if (result == LARDER_MISS)
		return result;
	if (result != 0) {
		tally_failed(tally, in_place ? "larder_view" : "larder_get", result);
		return result < 0 ? result : -EIO;
	}
	tally->hits++;
	if (!in_place) {
		check_session(worker, user, completed, buffer, ret_item->value_size, ret_item, &sequence);
		return 0;
	}
	*ret_item = view.item;
	check_session(worker, user, completed, view.data, view.size, &view.item, &sequence);
	if (random_percent(&worker->random, PERCENT_HELD)) {
		struct held_view *held = &worker->held[worker->held_next++ % HELD_VIEWS];

		held_view_release(worker, held);
		*held = (struct held_view){ .view = view, .user = user, .sequence = sequence };
	} else {
		larder_release(worker->cache, &view);
	}
	return 0;
}

static size_t session_make(struct worker *worker, uint32_t user, uint64_t sequence, struct larder_set_options *options)
{
	options->ttl_ms = workload_session_life_ms(user);
	options->flags = (uint32_t)sequence;
	return value_session(worker->buffers[0], workload_session_size(user) + sequence % 200, user, sequence,
	                     worker->number);
}

static void session_complete(struct worker *worker, uint32_t user, const struct ledger_change *change, bool deleted)
{
	ledger_complete(change, deleted);
	worker->seen[user] = change->sequence;
}

static void session_login(struct worker *worker, uint32_t user)
{
	struct ledger_entry *entry = &worker->shop->ledger[user];
	struct larder_set_options options = LARDER_SET_OPTIONS;
	bool must_be_absent = entry->deleted && !ledger_unfinished(entry);
	struct ledger_change change = ledger_begin(entry);
	char key[KEY_BYTES_MAX];
	size_t key_size = key_session(key, user), size = session_make(worker, user, change.sequence, &options);
	uint64_t begun = tally_begin(worker->tally, CALL_ADD);
	int result = larder_add(worker->cache, key, key_size, worker->buffers[0], size, &options, NULL);

	tally_end(worker->tally, CALL_ADD, begun);
	if (write_result_known(worker->tally, "larder_add", result) && result == 0) {
		session_complete(worker, user, &change, false);
		return;
	}
	ledger_cancel(&change);
	if (result == LARDER_EXISTS && must_be_absent)
		tally_wrong(worker->tally, "session of user %u: add finds a value after a delete", user);
}

/* Reads, changes and writes back only if nothing happened in between; others touch the session meanwhile. */
static void session_change(struct worker *worker, uint32_t user)
{
	struct larder_set_options options = LARDER_SET_OPTIONS;
	struct larder_item item;
	char key[KEY_BYTES_MAX];
	size_t key_size = key_session(key, user);

	for (unsigned attempt = 0; attempt < CAS_ATTEMPTS; attempt++) {
		struct ledger_change change;
		uint64_t begun;
		size_t size;
		int result;

		if (session_read(worker, user, false, &item) != 0)
			return;
		change = ledger_begin(&worker->shop->ledger[user]);
		size = session_make(worker, user, change.sequence, &options);
		begun = tally_begin(worker->tally, CALL_CAS);
		result = larder_cas(worker->cache, key, key_size, worker->buffers[0], size, item.version, &options,
		                    NULL);
		tally_end(worker->tally, CALL_CAS, begun);
		if (write_result_known(worker->tally, "larder_cas", result) && result == 0) {
			session_complete(worker, user, &change, false);
			return;
		}
		ledger_cancel(&change);
		if (result != LARDER_CHANGED)
			return;
		worker->tally->retries++;
	}
}

static void session_logout(struct worker *worker, uint32_t user)
{
	struct ledger_change change = ledger_begin(&worker->shop->ledger[user]);
	char key[KEY_BYTES_MAX];
	size_t key_size = key_session(key, user);
	uint64_t begun = tally_begin(worker->tally, CALL_DELETE);
	int result = larder_delete(worker->cache, key, key_size, 0);

	tally_end(worker->tally, CALL_DELETE, begun);
	if (write_result_known(worker->tally, "larder_delete", result))
		session_complete(worker, user, &change, true);
	else
		ledger_cancel(&change);
}

static void session_touch(struct worker *worker, uint32_t user)
{
	char key[KEY_BYTES_MAX];
	size_t key_size = key_session(key, user);
	uint64_t begun = tally_begin(worker->tally, CALL_TOUCH);
	int result = larder_touch(worker->cache, key, key_size, workload_session_life_ms(user), NULL);

	tally_end(worker->tally, CALL_TOUCH, begun);
	write_result_known(worker->tally, "larder_touch", result);
}

/* ---- pages ------------------------------------------------------------------------------------------------------- */

/* Renders and stores what the page's fragments lack. */
static void fragments_store(struct worker *worker, const uint32_t *missing, unsigned count)
{
	struct larder_mset_entry entries[WORKLOAD_FRAGMENTS_PER_PAGE];
	uint64_t begun;
	int result;

	for (unsigned i = 0; i < count; i++) {
		entries[i] = (struct larder_mset_entry){ .key = worker->keys[i], .value = worker->buffers[i] };
		entries[i].key_size = key_fragment(worker->keys[i], missing[i]);
		entries[i].value_size = value_fragment(worker->buffers[i], workload_fragment_size(missing[i]),
		                                       missing[i], random_next(&worker->random) >> 40);
		entries[i].ttl_ms = workload_fragment_life_ms(missing[i]);
	}
	begun = tally_begin(worker->tally, CALL_MSET);
	result = larder_mset(worker->cache, entries, count);
	tally_end(worker->tally, CALL_MSET, begun);
	if (result != 0)
		tally_failed(worker->tally, "larder_mset", result);
	for (unsigned i = 0; result == 0 && i < count; i++)
		write_result_known(worker->tally, "larder_mset", entries[i].result);
}

static void page_assemble(struct worker *worker, uint32_t page)
{
	struct larder_mget_entry entries[WORKLOAD_FRAGMENTS_PER_PAGE] = { 0 };
	uint32_t fragments[WORKLOAD_FRAGMENTS_PER_PAGE], missing[WORKLOAD_FRAGMENTS_PER_PAGE];
	struct tally *tally = worker->tally;
	unsigned missing_count = 0;
	uint64_t begun;
	int result;

	for (unsigned i = 0; i < WORKLOAD_FRAGMENTS_PER_PAGE; i++) {
		fragments[i] = workload_fragment(page, i);
		entries[i].key = worker->keys[i];
		entries[i].key_size = key_fragment(worker->keys[i], fragments[i]);
		entries[i].buffer = worker->buffers[i];
		entries[i].buffer_size = VALUE_BYTES_MAX;
	}
	begun = tally_begin(tally, CALL_MGET);
	result = larder_mget(worker->cache, entries, WORKLOAD_FRAGMENTS_PER_PAGE);
	tally_end(tally, CALL_MGET, begun);
	if (result != 0) {
		tally_failed(tally, "larder_mget", result);
		return;
	}
	for (unsigned i = 0; i < WORKLOAD_FRAGMENTS_PER_PAGE; i++) {
		const struct larder_mget_entry *entry = &entries[i];

		tally->lookups++;
		if (entry->result == LARDER_MISS) {
			missing[missing_count++] = fragments[i];
			continue;
		}
		if (entry->result != 0) {
			tally_failed(tally, "larder_mget", entry->result);
			continue;
		}
		tally->hits++;
		tally->checked_bytes += entry->item.value_size;
		if (!value_intact(entry->buffer, entry->item.value_size, entry->key, entry->key_size))
			tally_wrong(tally, "fragment %u: %llu bytes that do not match their own check sum and key",
			            fragments[i], (unsigned long long)entry->item.value_size);
	}
	if (missing_count > 0)
		fragments_store(worker, missing, missing_count);
}

/* How many requests has this user made in the last seconds? */
static void rate_limit(struct worker *worker, uint32_t user)
{
	struct larder_incr_options options = LARDER_INCR_OPTIONS;
	char key[KEY_BYTES_MAX];
	size_t key_size = key_rate(key, user);
	int64_t requests;
	uint64_t begun;
	int result;

	options.flags = LARDER_INCR_CREATE;
	options.initial = 1;
	options.ttl_ms = workload_rate_life_ms(user);
	begun = tally_begin(worker->tally, CALL_INCR);
	result = larder_incr(worker->cache, key, key_size, 1, &options, &requests);
	tally_end(worker->tally, CALL_INCR, begun);
	if (!write_result_known(worker->tally, "larder_incr", result))
		return;
	if (result != 0 || requests < 1)
		tally_wrong(worker->tally, "rate of user %u: no positive number after an increment", user);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void serve_request(struct worker *worker)
{
	const struct workload *workload = &worker->shop->workload;
	uint64_t *random = &worker->random;
	uint32_t user = workload_user(workload, worker->number, random);
	uint32_t page = popularity_draw(&workload->pages, random);
	struct larder_item item;
	int result;

	if (worker->requests++ % HELD_REQUESTS == 0)
		release_held_views(worker);
	if (random_percent(random, PERCENT_RATE))
		rate_limit(worker, user);
	result = session_read(worker, user, random_percent(random, PERCENT_VIEW), &item);
	if (result == LARDER_MISS && is_own(worker, user))
		session_login(worker, user);
	if (random_percent(random, PERCENT_PAGE))
		page_assemble(worker, page);
	if (random_percent(random, PERCENT_COUNT))
		counter_increment(worker->cache, worker->tally, worker->tally_number, worker->notes, page,
		                  &worker->counter_serial);
	if (random_percent(random, PERCENT_READ_COUNT))
		counter_read(worker->cache, worker->tally, worker->notes, page);
	if (result == 0 && random_percent(random, PERCENT_TOUCH))
		session_touch(worker, user);
	if (!is_own(worker, user))
		return;
	if (random_percent(random, PERCENT_CHANGE))
		session_change(worker, user);
	if (random_percent(random, PERCENT_LOGOUT))
		session_logout(worker, user);
}

/* A successor reads first: the write in which its predecessor was killed is there, or not, or the key is gone. */
static void succeed(struct worker *worker)
{
	struct ledger_entry *ledger = worker->shop->ledger;
	struct larder_item item;

	for (uint32_t user = worker->number; user < worker->shop->workload.users.count;
	     user += worker->shop->workload.workers) {
		if (!ledger_unfinished(&ledger[user]))
			continue;
		if (session_read(worker, user, false, &item) != 0)
			worker->tally->unfinished = UNFINISHED_GONE;
		else
			worker->tally->unfinished = worker->seen[user] == ledger[user].begun ? UNFINISHED_DONE
			                                                                     : UNFINISHED_UNDONE;
	}
}

int worker_run(const struct shop *shop, larder *cache, uint32_t number, unsigned tally)
{
	struct worker *worker = calloc(1, sizeof *worker);
	uint64_t *seen = calloc(shop->workload.users.count, sizeof *seen);

	if (worker == NULL || seen == NULL)
		return EXIT_FAILURE;
	worker->shop = shop;
	worker->cache = cache;
	worker->tally = &shop->board->tallies[tally];
	worker->tally_number = tally;
	worker->number = number;
	worker->random = random_mix(shop->seed + tally);
	worker->notes = shop->notes + (size_t)tally * WORKLOAD_PAGES;
	worker->seen = seen;

	if (tally != number)
		succeed(worker);
	while (!shop->board->stop)
		serve_request(worker);
	release_held_views(worker);
	tally_show(worker->tally);
	free(seen);
	free(worker);
	return EXIT_SUCCESS;
}
