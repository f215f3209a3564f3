/* SPDX-License-Identifier: MIT */
/*
 * The index as bucket.pml, chain.pml and split.pml see it: its words, and the abstract map against which every step of the
 * operations in index.h is checked.
 *
 * A bucket has two slots. A home b owns the four words slot[4b..4b+3]: its own two and, once slot 1 is a LINK, two in its
 * overflow bucket. Home 0 may be split into the homes 1 and 2, or the homes 0 and 2 be merged into 1. An object is a number that is used once; four numbers
 * share a key. EMPTY words carry no nonce here: with fewer distinct words more late CASes succeed, so this is the harder case.
 *
 * The abstract map: current[k] is the object key k has now (0: none). It changes only where an operation takes effect (the CAS
 * on a slot), and there, and at every step that moves words about, check() compares it with what a scan would find. Hence
 * a duplicate, a lost or a resurrected object is an assertion at the step that makes it. A reader, or a delete that finds nothing,
 * must return something that current[k] was while it ran (seen[]): together that is linearizability.
 *
 * A killed process is one that is never scheduled again; a search of all interleavings contains every such run, so death
 * needs no steps of its own. That nobody waits for the dead is the absence of cycles (run.sh: progress).
 */
#define EMPTY(v) (v) /* 0..7; 0: never used */
#ifdef BROKEN_NO_NONCE
#define SEALED EMPTY(1)
#else
#define SEALED EMPTY(7) /* the code: sequence 1 with a nonce that no removal leaves behind */
#endif
#define LINK 8
#define WORD(x) (16 + (x)) /* x in 1..15 */
#define FROZEN 32
#define PLAIN(w) ((w) & 31)
#define IS_EMPTY(w) (PLAIN(w) < 8)
#define IS_OBJECT(w) ((w) & 16)
#define OBJECT(w) ((w) & 15)
#define KEY(x) ((x) >> 2)
#define KEYS 4
#define NONE 9
#define WATCHERS 3
#ifndef CHILD
#define CHILD(k) (1 + ((k) == 3))
#endif

/* Control word: { moved | frozen | seq:3 | target:2 | intent:4 }. */
#define INTENT(c) ((c) & 15)
#define TARGET(c) (((c) >> 4) & 3)
#define SEQ(c) (((c) >> 6) & 7)
#define CONTROL(x, i, s) ((x) | (i) << 4 | (s) << 6)
#define C_FROZEN 512
#define C_MOVED 1024

byte slot[12];
short control[3];
byte crowded;              /* bit 0: no overflow bucket is to be had in child 1; bit 1: in child 2 */
byte current[KEYS];
short placed;              /* bit x: object x was put in */
byte watched[WATCHERS] = NONE; /* key that watcher r looks for */
short seen[WATCHERS];      /* bit x: its key had object x since watcher r began; bit 0: nothing */

/* How often a scan of home b finds key k, and the sum of what it finds. */
#define AT(p, k) (IS_OBJECT(slot[p]) && KEY(OBJECT(slot[p])) == (k))
#define LINKED(b) (PLAIN(slot[4 * (b) + 1]) == LINK)
#define COUNT(b, k) (AT(4*(b), k) + AT(4*(b)+1, k) + LINKED(b) * (AT(4*(b)+2, k) + AT(4*(b)+3, k)))
#define VALUE(p, k) (AT(p, k) * OBJECT(slot[p]))
#define FIND(b, k) (VALUE(4*(b), k) + VALUE(4*(b)+1, k) + LINKED(b) * (VALUE(4*(b)+2, k) + VALUE(4*(b)+3, k)))
#ifndef PARENT
#define PARENT(k) 0
#endif
#define HOME(k) ((control[PARENT(k)] & C_MOVED) -> CHILD(k) : PARENT(k))
#define SOUND(k) (COUNT(HOME(k), k) <= 1 && FIND(HOME(k), k) == current[k])
hidden byte sound;

inline check() { sound = SOUND(0) && SOUND(1) && SOUND(2) && SOUND(3); assert(sound) }
inline note(k) {
	if :: watched[0] == k -> seen[0] = seen[0] | (1 << current[k]) :: else fi;
	if :: watched[1] == k -> seen[1] = seen[1] | (1 << current[k]) :: else fi;
	if :: watched[2] == k -> seen[2] = seen[2] | (1 << current[k]) :: else fi
}
inline took_effect(k, was, now) { /* within a d_step */
	assert(current[k] == was);                   /* else a duplicate */
	assert(!(now && (placed >> now) & 1));       /* else back from the dead */
	current[k] = now;
	placed = placed | (now -> 1 << now : 0);
	note(k);
	check()
}
inline watch(r, k) { d_step { watched[r] = k; seen[r] = 1 << current[k] } }

/* CAS that only moves words about: what a scan finds must not change. */
inline move(location, old, new) {
	d_step { ok = (location == old); if :: ok -> location = new; check() :: else fi }
}
