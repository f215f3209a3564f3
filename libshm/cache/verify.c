/* SPDX-License-Identifier: MIT */
/*
 * Verification: walks the arena and checks every invariant that can be seen from the outside. The arena may be in use, so what
 * looks wrong is looked at again: within a section that is not revoked, an object to which an unchanged slot word refers cannot have been
 * recycled; so if the word is still the same after the check, the fault is real.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "arena/extent.h"
#include "cache/internal.h"
#include "index/walk.h"
#include "object/walk.h"

#define CHAINS_PER_SECTION 256
#define DATA_LOOKS 10       /* at a segment in which something is wrong */
#define DIRECTORY_LOOKS 100 /* at an entry that is being changed */

struct verifier {
	struct cache_thread *thread;
	const struct arena *arena;
	cache_verify_report *report;
	void *context;
	struct cache_verify_counts counts;
};

static void __attribute__((format(printf, 2, 3))) fault(struct verifier *verifier, const char *format, ...)
{
	char sentence[256];
	va_list arguments;

	verifier->counts.faults++;
	if (!verifier->report)
		return;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	verifier->report(verifier->context, sentence);
}

/* ---- header, table, directory -------------------------------------------------------------------------------------- */

static void check_header(struct verifier *verifier)
{
	const struct arena *arena = verifier->arena;
	const struct arena_header *header = arena->header;

	if (header->magic != ARENA_MAGIC || header->layout_version != LAYOUT_VERSION ||
	    header->layout_stamp != layout_stamp())
		fault(verifier, "header: magic, layout version or layout stamp is not this library's");
	if (header->arena_bytes != arena->bytes || header->segment_bytes != arena->segment_bytes ||
	    header->segment_count != arena->segment_count || header->system_segments != arena->system_segments ||
	    header->directory_bits != arena->directory_bits)
		fault(verifier, "header: the geometry is not the one this process attached to");
	if (memcmp(header->secret, arena->secret, SECRET_BYTES) != 0)
		fault(verifier, "header: the secret of the hash has changed");
	if (load_relaxed(&arena->header->epoch) == 0 || load_relaxed(&arena->header->epoch) == EPOCH_REVOKED)
		fault(verifier, "header: %" PRIu64 " is no epoch", load_relaxed(&arena->header->epoch));
	if (load_relaxed(&arena->header->segment_target) > arena->segment_count)
		fault(verifier, "header: the arena cannot have %u segments",
		      load_relaxed(&arena->header->segment_target));
	for (uint32_t c = 0; c < SLABS; c++)
		if (load_relaxed(&arena->header->open_segment[c]) > arena->segment_count)
			fault(verifier, "header: slab %u allocates in segment %u, which does not exist", c,
			      load_relaxed(&arena->header->open_segment[c]) - 1);
}

/*
 * Whether the only child of an index segment is one built anew, of the same hashes, or one that it is merged in. Within a section, for a child says
 * who its parents are until its memory is used again.
 */
static bool child_sound(const struct arena *arena, uint32_t segment)
{
	const struct segment_entry *entry = &arena->table[segment], *child;
	enum segment_state state = segment_load(arena, segment).state;
	uint64_t children = load_acquire(&entry->children), parents; /* A12 <- R12 */
	uint32_t depth = load_relaxed(&entry->depth), child_depth;

	if (state != SEGMENT_INDEX || children == 0 || (uint32_t)children != children >> 32)
		return true;
	if ((uint32_t)children >= arena->segment_count)
		return false;
	child = &arena->table[(uint32_t)children];
	parents = load_acquire(&child->parents); /* A12 <- R12 */
	child_depth = load_relaxed(&child->depth);
	if (parents == 0)
		return child_depth == depth;
	if ((uint32_t)parents == segment && child_depth == depth) /* just before the merge is left */
		return true;
	return child_depth + 1 == depth && ((uint32_t)parents == segment || parents >> 32 == segment);
}

static void check_children(struct verifier *verifier)
{
	for (uint32_t segment = 0; segment < verifier->arena->segment_count; segment++) {
		bool sound;

		epoch_enter(&verifier->thread->reader);
		sound = child_sound(verifier->arena, segment);
		if (epoch_exit(&verifier->thread->reader) && !sound)
			fault(verifier,
			      "index segment %u: its child is neither one that it is merged in nor one built anew",
			      segment);
	}
}

/* What is wrong with the extent that a word claims to be the head of; NULL: nothing. */
static const char *extent_fault(const struct arena *arena, uint32_t segment, struct segment_word word)
{
	uint32_t length = extent_length(arena, segment, word);

	if (length == 1)
		return "no extent can have such a length";
	if (length > extent_length_max(arena))
		return "no object needs so long an extent";
	for (uint32_t i = 1; i < length; i++)
		if (segment_load(arena, segment + i).state != SEGMENT_EXTENT)
			return "what should continue it does not";
	return NULL;
}

static void check_extent(struct verifier *verifier, uint32_t segment, struct segment_word word)
{
	const char *what = extent_fault(verifier->arena, segment, word);

	/* If it is the same still, it has been one all the time. */
	if (what && segment_pack(segment_load(verifier->arena, segment)) == segment_pack(word))
		fault(verifier, "segment %u, head of an extent of %u chunks: %s", segment, word.next_chunk, what);
}

static void check_segments(struct verifier *verifier)
{
	const struct arena *arena = verifier->arena;
	uint32_t system = arena_system_needed(arena, 0); /* the ghosts beyond may be absent */

	for (uint32_t segment = 0; segment < arena->segment_count; segment++) {
		struct segment_word word = segment_load(arena, segment);

		verifier->counts.segments++;
		if (word.state > SEGMENT_READY)
			fault(verifier, "segment %u: %d is no state", segment, (int)word.state);
		if ((segment < system) != (word.state == SEGMENT_SYSTEM) &&
		    (segment < system || segment >= arena->system_segments))
			fault(verifier, "segment %u: in state %d, but system segments are the first %u", segment,
			      (int)word.state, arena->system_segments);
		if (word.ttl_class >= TTL_CLASSES)
			fault(verifier, "segment %u: TTL class %u does not exist", segment, word.ttl_class);
		if (word.state == SEGMENT_READY || (word.next_chunk > arena->chunks && word.state != SEGMENT_RETIRED))
			check_extent(verifier, segment, word);
	}
}

/* Whether a directory entry leads where it should. */
static bool leads_right(const struct arena *arena, uint32_t entry, uint32_t *ret_segment)
{
	uint32_t segment = index_segment(arena, (uint64_t)entry << arena->directory_shift);
	uint32_t depth, prefix;

	*ret_segment = segment;
	if (segment >= arena->segment_count || segment_load(arena, segment).state != SEGMENT_INDEX)
		return false;
	depth = load_relaxed(&arena->table[segment].depth);
	prefix = load_relaxed(&arena->table[segment].prefix);
	return depth <= arena->directory_bits && (entry ^ prefix) >> (arena->directory_bits - depth) == 0;
}

/*
 * The segment may be replaced while it is looked at, and be retired before the entry is seen to lead to another; so what looks wrong is
 * looked at again. In a section, because a segment says what hashes it serves until its memory is used again.
 */
static bool directory_entry_sound(struct verifier *verifier, uint32_t entry, uint32_t *ret_segment)
{
	struct epoch_reader *reader = &verifier->thread->reader;

	for (uint32_t look = 0; look < DIRECTORY_LOOKS; look++) {
		bool sound;

		epoch_enter(reader);
		sound = leads_right(verifier->arena, entry, ret_segment);
		if (epoch_exit(reader) && sound)
			return true;
	}
	return false;
}

static void check_directory(struct verifier *verifier)
{
	for (uint32_t entry = 0; entry < 1u << verifier->arena->directory_bits; entry++) {
		uint32_t segment;

		if (!directory_entry_sound(verifier, entry, &segment))
			fault(verifier, "directory entry %u: segment %u is not the index segment of these hashes",
			      entry, segment);
	}
}

/* ---- chains -------------------------------------------------------------------------------------------------------- */

/*
 * Whether what was found in a slot is true: the word is the same still, and the section was not revoked, or all that was read may be
 * somebody else's by now.
 */
static bool certain(const struct verifier *verifier, const struct index_chain *chain, uint32_t position)
{
	return load_relaxed(index_slot_at(chain, position)) == chain->words[position] &&
	       epoch_valid(&verifier->thread->reader);
}

/* What is wrong with an object that a slot refers to; NULL: nothing. */
static const char *object_fault(const struct arena *arena, const struct index_chain *chain, uint64_t word,
                                struct object_view *ret_object)
{
	uint64_t offset = slot_offset(word);
	uint32_t segment = (uint32_t)(offset >> arena->segment_shift);
	uint32_t depth = load_relaxed(&arena->table[chain->segment].depth);
	uint32_t prefix = load_relaxed(&arena->table[chain->segment].prefix);
	uint64_t hash, bound;
	struct segment_word state;

	if (segment >= arena->segment_count || !object_parse(arena, offset, ret_object))
		return "no object there";
	state = segment_load(arena, segment);
	if (state.state != SEGMENT_OPEN && state.state != SEGMENT_CONDEMNED)
		return "its segment holds no data";
	if ((state.generation & SLOT_GENERATION_MASK) != slot_generation(word))
		return "its segment is of another generation";
	if ((offset + ret_object->size - 1) >> arena->segment_shift >= segment + extent_length(arena, segment, state))
		return "it goes beyond its segment";
	if (!object_is_aligned(ret_object))
		return "its value is not aligned as its size asks for";
	hash = hash_key(arena->secret, ret_object->key, ret_object->key_size);
	if (!slot_matches(word, hash))
		return "the tag is not that of its key";
	if (hash_home(hash, arena->homes) != chain->home)
		return "its key belongs to another bucket";
	if (depth > arena->directory_bits ||
	    (hash_directory(hash, arena->directory_bits) ^ prefix) >> (arena->directory_bits - depth) != 0)
		return "its key belongs to another index segment";
	bound = load_relaxed(&arena->table[segment].expires_ms);
	if ((state.ttl_class != 0) != (ret_object->expires_ms != 0))
		return "its segment is of another TTL class";
	if (ret_object->expires_ms > bound)
		return "it lives longer than its segment says";
	return NULL;
}

static const char *link_fault(const struct arena *arena, const struct index_chain *chain, uint32_t position)
{
	struct bucket *bucket = index_linked(arena, chain->segment, chain->words[position]);
	uint32_t level = position / BUCKET_SLOTS + 1;

	if (position % BUCKET_SLOTS != BUCKET_SLOTS - 1)
		return "only the last slot of a bucket can be a link";
	if (level == CHAIN_BUCKETS)
		return "the chain is too long";
	if (!bucket)
		return "it leads to no overflow bucket";
	if (load_relaxed(&bucket->control) != ((uint64_t)level << 32 | (chain->home + 1)))
		return "the overflow bucket belongs to another home bucket";
	return NULL;
}

static bool same_key(const struct object_view *a, const struct object_view *b)
{
	return a->key_size == b->key_size && memcmp(a->key, b->key, a->key_size) == 0;
}

static void check_chain(struct verifier *verifier, const struct index_chain *chain)
{
	const struct arena *arena = verifier->arena;
	bool splitting = load_relaxed(&arena->table[chain->segment].children) != 0;
	struct object_view objects[CHAIN_SLOTS];
	bool present[CHAIN_SLOTS] = { false };

	verifier->counts.buckets += chain->buckets;
	verifier->counts.intents += (chain->control & CONTROL_OFFSET_MASK) != 0;
	if (chain->control & (CONTROL_FROZEN | CONTROL_MOVED) && !splitting && epoch_valid(&verifier->thread->reader))
		fault(verifier, "index segment %u bucket %u: frozen, but the segment is not being split",
		      chain->segment, chain->home);
	for (uint32_t p = 0; p < chain->buckets * BUCKET_SLOTS; p++) {
		uint64_t word = chain->words[p];
		const char *what = NULL;

		if (slot_is_object(word)) {
			what = object_fault(arena, chain, word, &objects[p]);
			present[p] = !what;
			verifier->counts.entries += !what;
		} else if (slot_is_link(word)) {
			what = link_fault(arena, chain, p);
		}
		if (what && certain(verifier, chain, p))
			fault(verifier, "index segment %u bucket %u slot %u: %s", chain->segment, chain->home, p, what);
		for (uint32_t other = 0; other < p && present[p]; other++)
			if (present[other] && same_key(&objects[other], &objects[p]) &&
			    certain(verifier, chain, other) && certain(verifier, chain, p))
				fault(verifier, "index segment %u bucket %u: slots %u and %u have the same key",
				      chain->segment, chain->home, other, p);
	}
}

static void check_index(struct verifier *verifier)
{
	struct epoch_reader *reader = &verifier->thread->reader;
	struct index_walk walk = { 0 };
	struct index_chain chain;
	bool more = true;
	int attempt = 0;

	while (more && attempt++ < READ_ATTEMPTS) {
		struct index_walk walk_before = walk;
		struct cache_verify_counts counts_before = verifier->counts;

		epoch_enter(reader);
		for (int i = 0; more && i < CHAINS_PER_SECTION; i++) {
			more = index_walk_next(verifier->arena, &walk, &chain);
			if (more)
				check_chain(verifier, &chain);
		}
		if (!epoch_exit(reader)) {
			walk = walk_before;
			counts_before.faults = verifier->counts.faults; /* which were certain */
			verifier->counts = counts_before;
			more = true;
			continue;
		}
		attempt = 0;
	}
	if (more)
		fault(verifier, "the index could not be looked at: each time that took too long for somebody");
}

/* ---- data segments --------------------------------------------------------------------------------------------------- */

/*
 * In a section, because the memory may be given back when the segment is emptied. False: look again, because the section was revoked; or
 * unless it is the last look, because something is wrong: where a walk has read an object, its writer may take it back and write one of another
 * size, in whose middle the walk goes on.
 */
static bool check_data_segment(struct verifier *verifier, uint32_t segment, bool last_look)
{
	struct object_walk walk = { .segment = segment };
	struct segment_word before, after;
	struct object_view object;
	uint64_t objects = 0;

	epoch_enter(&verifier->thread->reader);
	before = segment_load(verifier->arena, segment);
	while (before.state == SEGMENT_OPEN && object_walk_next(verifier->arena, &walk, &object))
		objects++;
	after = segment_load(verifier->arena, segment);
	if (!epoch_exit(&verifier->thread->reader))
		return false;
	if (after.state != before.state || after.generation != before.generation)
		return true;
	if (walk.faults && !last_look)
		return false;
	verifier->counts.objects += objects;
	if (walk.faults)
		fault(verifier, "data segment %u: %u places that are neither an object nor free", segment, walk.faults);
	return true;
}

static void check_data(struct verifier *verifier)
{
	for (uint32_t segment = 0; segment < verifier->arena->segment_count; segment++)
		for (uint32_t look = 1; !check_data_segment(verifier, segment, look >= DATA_LOOKS); look++)
			;
}

int cache_verify(struct cache_thread *thread, cache_verify_report *report, void *context,
                 struct cache_verify_counts *ret_counts)
{
	struct verifier verifier = {
		.thread = thread, .arena = &thread->cache->arena, .report = report, .context = context
	};

	check_header(&verifier);
	check_segments(&verifier);
	check_children(&verifier);
	check_directory(&verifier);
	check_index(&verifier);
	check_data(&verifier);
	if (ret_counts)
		*ret_counts = verifier.counts;
	return verifier.counts.faults ? -EUCLEAN : 0;
}
