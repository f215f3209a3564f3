/* SPDX-License-Identifier: MIT */
/* The operations set, delete and get on one home of the index. bucket.pml, chain.pml, split.pml and merge.pml say who runs them. */
#include "map.h"

/* Completes the intent of the control word c of home b. */
inline help() {
	p = 4 * b + TARGET(c);
	e = slot[p];
#ifdef BROKEN_NO_RECHECK
	ok = true;
#else
	ok = (control[b] == c);
#endif
	if
#ifdef BROKEN_UNVERSIONED
	:: ok && IS_EMPTY(e) ->
#else
	:: ok && IS_EMPTY(e) && e != SEQ(c) ->
#endif
		d_step {
			if
			:: slot[p] == e -> slot[p] = WORD(INTENT(c)); took_effect(KEY(INTENT(c)), 0, INTENT(c))
			:: else
			fi
		}
	:: else
	fi;
	if
	:: ok -> move(control[b], c, CONTROL(0, 0, SEQ(c)))
	:: else
	fi
}

/*
 * Finds key k: settles what is pending, then reads the whole chain of its home b in order. at: where the key is (then w is
 * its word); pick: any one empty slot (the code takes the first).
 */
inline find(k) {
	do
	:: d_step { c = control[b]; i = 0; p = 0; w = 0; e = 0; at = NONE; pick = NONE; linked = false; icy = false };
		if
		:: c & C_MOVED -> b = CHILD(k)
#ifdef BROKEN_WAITS
		:: !(c & C_MOVED) && INTENT(c) -> skip
#else
		:: !(c & C_MOVED) && INTENT(c) -> help()
#endif
		:: !(c & C_MOVED) && !INTENT(c) -> scan(k); if :: icy -> split() :: else -> break fi
		fi
	od
}

inline scan(k) {
	do
	:: atomic { i < 4 && !(c & C_FROZEN) ->
		e = slot[4 * b + i];
		icy = icy || (e & FROZEN);
		if
		:: IS_OBJECT(e) && KEY(OBJECT(e)) == k -> at = i; w = e
		:: IS_EMPTY(e) -> if :: pick = i :: pick != NONE fi
		:: else
		fi;
		linked = linked || PLAIN(e) == LINK;
		i = ((i == 1 && !linked) -> 4 : i + 1) }
	:: else -> icy = icy || (c & C_FROZEN); break
	od
}

/* Turns a never-used slot into an empty one. */
inline seal(location) {
#ifdef BROKEN_NO_SEAL
	skip
#else
	move(location, EMPTY(0), SEALED)
#endif
}

/* Makes the last slot of the full home b a link to its overflow bucket, the object in it the first one there. */
inline extend() {
	seal(slot[4 * b + 2]);
	seal(slot[4 * b + 3]);
	do
#ifdef BROKEN_MIRROR_LAST
	:: w = slot[4 * b + 1]; e = slot[4 * b + 2];
#else
	:: e = slot[4 * b + 2]; w = slot[4 * b + 1];
#endif
		if
		:: !IS_OBJECT(w) || (w & FROZEN) -> break /* there is a link, or room, or a split */
#ifdef BROKEN_MIRROR_ONCE
		:: else -> if :: IS_EMPTY(e) -> move(slot[4 * b + 2], e, w) :: else -> ok = true fi;
#else
		:: else -> if :: e != w -> move(slot[4 * b + 2], e, w) :: else -> ok = true fi;
#endif
			if
			:: ok -> move(slot[4 * b + 1], w, LINK); if :: ok -> break :: else fi
			:: else
			fi
		fi
	od
}

#define IN_CHILD b
#define GIVE_UP false
#ifdef SPLIT
#include "split.h"
#define LIST byte list[4];
#define HAS_ROOM (!(crowded & b))
#elif defined(MERGE)
#include "merge.h"
#else
#define LIST
#define HAS_ROOM true
#undef GIVE_UP
#define GIVE_UP true
inline split() { assert(false) }
#endif

#ifndef START
#define START(k) skip
#endif
#define LOCALS short c; byte b, i, p, w, e, at, pick; bool ok, linked, icy; LIST
inline forget() { atomic { c = 0; b = 0; i = 0; p = 0; w = 0; e = 0; at = 0; pick = 0; linked = false; icy = false; ok = false } }

proctype Set(byte x) {
	LOCALS
	START(KEY(x));
	do
	:: find(KEY(x));
		if
		:: at != NONE ->
			d_step {
				ok = (slot[4 * b + at] == w);
				if :: ok -> slot[4 * b + at] = WORD(x); took_effect(KEY(x), OBJECT(w), x) :: else fi
			}
#ifdef BEGUN
		/* Nothing is added to what is to be moved; but who looked before that began still does. */
		:: at == NONE && !IN_CHILD && BEGUN -> split(); ok = false
#endif
		:: at == NONE && pick != NONE ->
#ifdef BROKEN_NO_INTENT
			w = slot[4 * b + pick];
			d_step {
				ok = (slot[4 * b + pick] == w && IS_EMPTY(w));
				if :: ok -> slot[4 * b + pick] = WORD(x); took_effect(KEY(x), 0, x) :: else fi
			}
#else
			move(control[b], c, CONTROL(x, pick, SEQ(c) + 1));
			if
			:: ok -> c = CONTROL(x, pick, SEQ(c) + 1); help(); assert((placed >> x) & 1); ok = true
			:: else
			fi
#endif
		:: at == NONE && pick == NONE && !linked && HAS_ROOM -> extend(); ok = false
		:: at == NONE && pick == NONE && (linked || !HAS_ROOM) -> ok = (IN_CHILD || GIVE_UP); if :: ok :: else -> split() fi
		fi;
		if :: ok -> break :: else fi
	od;
	forget()
}

proctype Delete(byte k, r) {
	LOCALS
	watch(r, k);
	START(k);
	do
	:: find(k);
		if :: at == NONE -> assert(seen[r] & 1); break :: else fi;
#ifndef BROKEN_SEQUENCE_FIRST
		c = control[b];
#endif
		d_step {
			ok = (slot[4 * b + at] == w);
			if :: ok -> slot[4 * b + at] = EMPTY(SEQ(c)); took_effect(k, OBJECT(w), 0) :: else fi
		};
		if :: ok -> break :: else fi
	od;
	atomic { watched[r] = NONE; seen[r] = 0 }
	forget()
}

/* The lookup: the slots of one bucket in any order, but those of the next after the link to it was seen. */
proctype Get(byte k, r) {
	byte b, l, w0, w1, p;
	watch(r, k);
#ifndef BROKEN_READER
	b = HOME(k);
#endif
	do
	:: l < 2 ->
		p = 4 * b + 2 * l;
		if
		:: true -> w0 = slot[p]; w1 = slot[p + 1]
		:: true -> w1 = slot[p + 1]; w0 = slot[p]
		fi;
		d_step {
			p = 0;
			if
			:: IS_OBJECT(w0) && KEY(OBJECT(w0)) == k -> p = OBJECT(w0); l = 2
			:: else ->
				if
				:: IS_OBJECT(w1) && KEY(OBJECT(w1)) == k -> p = OBJECT(w1); l = 2
				:: else -> l = (PLAIN(w1) == LINK -> l + 1 : 2)
				fi
			fi
		}
	:: else -> break
	od;
	assert((seen[r] >> p) & 1);
	atomic { watched[r] = NONE; seen[r] = 0; b = 0; l = 0; p = 0; w0 = 0; w1 = 0 }
}
