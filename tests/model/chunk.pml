/* SPDX-License-Identifier: MIT */
/*
 * Chunks of a data segment: taking, writing, walking, reusing.
 *
 * One segment of two chunks; a chunk has a header (how many chunks the run has; 0: nobody wrote it) and room for two objects.
 * heads[2c], heads[2c+1] are the heads of the objects in chunk c: 0 none; else the generation in which it was
 * completed. The memory of earlier generations is left as it was, and a run of two chunks uses the second chunk's header
 * for data (JUNK). Writers take a run of one or two chunks with a compare-and-swap of the state word, pin, check, and write one
 * or two objects; each may be killed anywhere. The keeper condemns at any time, waits for the pins, walks, recycles.
 *
 * Asserted: nobody writes in a chunk of another; the walk meets every object that was published in this generation, and nothing
 * that was left by an earlier one or half written.
 */
#define OPEN 1
#define CONDEMNED 2
#define JUNK 9
#define NOBODY 9
#define WRITERS 2

byte state = OPEN, generation = 1, next;    /* one state word */
byte header[2];
byte heads[4];
byte owner[2] = NOBODY;                     /* ghost: of the chunk, in this generation */
bool published[4];                          /* ghost: in this generation */
bool pinned[WRITERS];
bool killed[WRITERS];

/* Writes the object at place q, publishes it; the head of the one behind is zeroed first. */
inline write_object(q) {
	if :: (q) + 1 < end -> heads[(q) + 1] = 0 :: else fi;
	d_step { assert(owner[(q) / 2] == me && generation == g); heads[q] = g };
	published[q] = true
}

inline pin() {
	pinned[me] = true;
#ifdef BROKEN_UNCHECKED
	ok = true
#else
	ok = (state == OPEN && generation == g)
#endif
}

proctype Writer(byte me) {
	byte first, end, n, g; bool ok;
	{
		atomic { /* the compare-and-swap that took the chunks */
			if
			:: state == OPEN && next < 2 -> n = 1
			:: state == OPEN && next == 0 -> n = 2
			:: else -> goto done
			fi;
			first = next; g = generation; next = next + n;
			owner[first] = me;
			if :: n == 2 -> owner[1] = me :: else fi
		}
		end = 2 * (first + n);
		pin();
		if :: ok :: else -> pinned[me] = false; goto done fi;
#ifdef BROKEN_HEADER_FIRST
		header[first] = n;
		heads[2 * first] = 0;
#else
		heads[2 * first] = 0;
		header[first] = n;
#endif
		if
		:: n == 2 -> /* one large object */
			heads[1] = JUNK; header[1] = JUNK; heads[2] = JUNK;
			d_step { assert(owner[0] == me && owner[1] == me && generation == g); heads[0] = g };
			published[0] = true
		:: else -> write_object(2 * first)
		fi;
		pinned[me] = false;
		if
		:: n == 1 ->
			pin();
			if :: ok -> write_object(2 * first + 1) :: else fi;
			pinned[me] = false
		:: else
		fi;
done:		skip
	} unless { killed[me] }
}

inline walk() {
	c = 0;
	do
	:: c < next ->
		if
		:: header[c] == 0 || header[c] > next - c -> seen[2 * c] = false; c++
		:: else ->
			q = 2 * c;
			do
			:: q < 2 * (c + header[c]) && heads[q] ->
				assert(heads[q] == generation);
				seen[q] = true;
				q = (header[c] == 2 -> 4 : q + 1) /* the large object fills its run */
			:: else -> break
			od;
			c = c + header[c]
		fi
	:: else -> break
	od
}

proctype Keeper() {
	byte c, q, turns; bool seen[4];
	do
	:: turns < 2 ->
		state = CONDEMNED;
		!pinned[0]; !pinned[1];
		d_step {
			walk();
			assert(seen[0] >= published[0] && seen[1] >= published[1]);
			assert(seen[2] >= published[2] && seen[3] >= published[3]);
			c = 0; q = 0; seen[0] = false; seen[1] = false; seen[2] = false; seen[3] = false
		};
#ifndef BROKEN_HEADERS_KEPT
		header[0] = 0;
		header[1] = 0;
#endif
		d_step {
			state = OPEN; next = 0; generation++;
			owner[0] = NOBODY; owner[1] = NOBODY;
			published[0] = false; published[1] = false; published[2] = false; published[3] = false
		};
		turns++
	:: else -> break
	od
}

proctype Kill(byte victim) {
	killed[victim] = true;
	pinned[victim] = false /* on the proof of death */
}

init {
	atomic {
		heads[0] = JUNK; heads[1] = JUNK; heads[2] = JUNK; heads[3] = JUNK; /* what a life before left */
		run Writer(0); run Writer(1); run Kill(0); run Keeper()
#ifdef AGAIN
		; run Writer(1)
#endif
	}
}
