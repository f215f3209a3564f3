/* SPDX-License-Identifier: MIT */
/*
 * What a revoked thread may do after it wakes. It holds slot words that are out of date, and compares keys or adds up numbers on
 * memory that holds something else by now.
 *
 * RUN 1, inserting. The slot word proves a replacement or removal: if it is still in the slot, its object was there all
 * the time. "The key is absent" has no such proof: the control word tells that no key came, but not that the keys compared were
 * the right ones, since replacing changes no control word. So the writer must know, after it compared and before it writes its
 * intent, that it was not revoked.
 *
 * RUN 2, freezing a counter in place without a pin: the compare-and-swap of the counter's words proves nothing if the words
 * expected were read from somebody else's value. So here too the section is checked between the reading and the
 * compare-and-swap. After the check only words that nobody changed since can match, and those belong to the counter or to
 * nobody (what a segment's next owner has not written yet).
 *
 * RUN 3, the index itself: a late compare-and-swap in an index segment must not meet other contents, and no generation in its
 * expected word protects it there (never used is zero everywhere). So who wants to change a bucket pins its segment, then makes
 * sure that it was not revoked before; and an index segment is used again only when, after its grace period, nobody has it pinned.
 *
 * One home, two slots, three segments of one object. cell[s] is what is in the memory of segment s: key 1 or 2, the counter 3
 * (frozen 4), a value 5, which is nobody's counter but has the bytes of one that is not frozen.
 */
#define EMPTY(v) (v)
#define WORD(s, g) (16 + (s) + 4 * (g))
#define IS_EMPTY(w) ((w) < 16)
#define SEGMENT(w) (((w) - 16) & 3)
#define CONTROL(s1, i, seq) ((s1) + 4 * (i) + 8 * (seq))
#define INTENT(c) ((c) & 3)
#define TARGET(c) (((c) >> 2) & 1)
#define SEQ(c) ((c) >> 3)
#define REVOKED 9

byte slot[2], control = CONTROL(0, 0, 1);
byte cell[3], generation[3] = 1;
byte line, epoch = 1;
bool corrupt; /* ghost: a stranger's value was changed */

#define CAS(location, old, new) d_step { ok = (location == old); if :: ok -> location = new :: else fi }
#define HOLDS(i, k) (!IS_EMPTY(slot[i]) && cell[SEGMENT(slot[i])] == (k))
#define TWICE(k) (HOLDS(0, k) && HOLDS(1, k))

inline valid() {
#ifdef BROKEN_UNCHECKED
	ok = true
#else
	ok = (line == entered)
#endif
}

/* Sets key 1; its object lies in segment 2, which it has pinned. */
proctype Writer() {
	byte entered, c, w0, w1, word, at; bool ok;
	do
	:: entered = epoch; line = entered;
		c = control; w0 = slot[0]; w1 = slot[1];
		at = 2;
		if :: !IS_EMPTY(w0) -> if :: cell[SEGMENT(w0)] == 1 -> at = 0 :: else fi :: else fi;
		if :: !IS_EMPTY(w1) -> if :: cell[SEGMENT(w1)] == 1 -> at = 1 :: else fi :: else fi;
		cell[2] = 1;
		if
		:: at == 0 -> CAS(slot[0], w0, WORD(2, 1))
		:: at == 1 -> CAS(slot[1], w1, WORD(2, 1))
		:: at == 2 && (IS_EMPTY(w0) || IS_EMPTY(w1)) ->
			valid();
			if
			:: ok ->
				at = !IS_EMPTY(w0);
				CAS(control, c, CONTROL(3, at, SEQ(c) + 1));
				if :: ok -> word = slot[at]; CAS(slot[at], word, WORD(2, 1)); control = CONTROL(0, 0, SEQ(c) + 1) :: else fi
			:: else
			fi
		:: else -> ok = true
		fi;
		assert(!TWICE(1));
		line = 0;
		d_step { entered = 0; c = 0; w0 = 0; w1 = 0; at = 0; word = 0 };
		if :: ok -> break :: else fi
	od
}

/* Freezes the counter in slot 0. */
proctype Freezer() {
	byte entered, w, words; bool ok;
	entered = epoch; line = entered;
	w = slot[0];
	if
	:: !IS_EMPTY(w) ->
		words = cell[SEGMENT(w)];
		valid();
		if
		:: ok && (words == 3 || words == 5) -> d_step { if :: cell[SEGMENT(w)] == words -> corrupt = (words == 5); cell[SEGMENT(w)] = 4 :: else fi }
		:: else
		fi
	:: else
	fi;
	assert(!corrupt);
	line = 0
}

/* Another client and the keeper, one after the other: each may stop anywhere for any time. */
proctype World() {
	byte w, g; bool ok;
	w = slot[0];
	if
	:: IS_EMPTY(w) || SEGMENT(w) != 0
	:: else ->
		cell[1] = cell[0];
		CAS(slot[0], w, WORD(1, 1)) /* replaced, or moved to another segment */
	fi;
	/* Segment 0 is condemned. */
	do
	:: w = slot[0];
		if :: !IS_EMPTY(w) && SEGMENT(w) == 0 -> CAS(slot[0], w, EMPTY(SEQ(control))) :: else -> break fi
	od;
	g = epoch + 1; epoch = g;
	do
	:: w = line;
		if :: w == 0 || w >= g -> break :: else -> if :: CAS(line, w, REVOKED) :: true fi fi
	od;
	atomic { cell[0] = 0; generation[0] = 2 }
	cell[0] = (RUN == 1 -> 2 : 5) /* used again, for another key or value */
}

#define NOTHING 9

bool reused;              /* index segment 0 */
byte directory, lines[2]; /* epoch words of two threads */
byte pins[2] = NOTHING;

proctype Visitor(byte me, times) {
	byte entered, segment; bool ok;
	do
	:: times > 0 ->
		entered = epoch;
		lines[me] = entered;
#ifdef BROKEN_PIN_AFTER_CHECK
		segment = directory;
		ok = (lines[me] == entered);
		pins[me] = segment;
#else
		segment = directory;
		pins[me] = segment;
#ifdef BROKEN_UNCHECKED
		ok = true;
#else
		ok = (lines[me] == entered);
#endif
#endif
		assert(segment == 1 || !ok || !reused); /* the late compare-and-swap */
		pins[me] = NOTHING;
		lines[me] = 0;
		times--
	:: else -> break
	od
}

proctype Retire() {
	byte i, w, g; bool ok;
	directory = 1;
	g = epoch + 1; epoch = g;
	do
	:: i < 2 ->
		w = lines[i];
		if :: w == 0 || w >= g -> i++ :: else -> if :: CAS(lines[i], w, REVOKED) :: true fi fi
	:: else -> break
	od;
#ifndef BROKEN_IGNORES_PINS
	pins[0] != 0; pins[1] != 0;
#endif
	reused = true
}

init {
	atomic {
		slot[0] = WORD(0, 1);
#if RUN == 1
		cell[0] = 1;
		run Writer(); run World()
#elif RUN == 2
		cell[0] = 3;
		run Freezer(); run World()
#elif RUN == 3
		run Visitor(0, 2); run Visitor(1, 2); run Retire()
#endif
	}
}
