/* SPDX-License-Identifier: MIT */
/*
 * A home bucket with its overflow bucket is split into two children.
 *
 * Four steps, each of which anybody may do again at any time: no intent may begin any more (control word frozen); no slot
 * may change any more (slots frozen, in the order of the chain); the chain is constant now, so all derive the same list
 * of objects for each child, and the n-th goes to the n-th place there, only where nothing was ever put, and what is
 * left never used is sealed; the control word says "moved". Readers look at the control word first.
 *
 * The sealing makes late helpers harmless, even one that was revoked and derives its list from memory that
 * holds other objects by now (Revoked): after "moved" there is no never-used slot left in the child's chain.
 * In the child the chain may need an overflow bucket; if there is none to be had (CROWDED) the rest of the list is
 * evicted, by everybody alike, since claims are never given up.
 *
 * RUN 1..6 begin with a full chain, all of whose three objects go to child 1, which must be extended; RUN 11..14 with a full
 * bucket without overflow, which a setter is about to extend while it is split; RUN 21 and 22 with a bucket that has room
 * for an insert, whose intent the split meets.
 */
#define SPLIT
#include "index.h"

proctype Split() { LOCALS split(); forget() }

proctype Revoked() {
	LOCALS
	control[0] & C_MOVED;
	atomic {
		list[0] = WORD(13);
		if :: list[1] = WORD(14) :: list[1] = WORD(3) fi;
		if :: list[2] = WORD(7) :: list[2] = WORD(15) :: skip fi
	};
	fill();
	atomic { list[0] = 0; list[1] = 0; list[2] = 0 }
	forget()
}

/* The keeper must not do this: begin to split child 1 before every bucket of its parent has moved. */
proctype SplitChild() {
	bool ok; short c; byte w;
	c = control[1];
	move(control[1], c, c | C_FROZEN);
	w = slot[4];
	move(slot[4], w, w | FROZEN)
}

init {
	atomic {
		control[0] = CONTROL(0, 0, 1);
		control[1] = CONTROL(0, 0, 1);
		control[2] = CONTROL(0, 0, 1);
		slot[0] = WORD(1); current[0] = 1;
		current[1] = 4;
#if RUN > 20
		current[1] = 0;
		placed = 1 << 1
#elif RUN < 10
		slot[1] = LINK;
		slot[2] = WORD(4);
		slot[3] = WORD(8); current[2] = 8;
		placed = 1 << 1 | 1 << 4 | 1 << 8
#else
		slot[1] = WORD(4);
		placed = 1 << 1 | 1 << 4
#endif
#ifdef CROWDED
		; crowded = 1
#endif
#ifdef BROKEN_CHILD_FIRST
		; run SplitChild()
#endif
		; run Split();
#if RUN == 1
		run Split(); run Get(1, 0); run Get(2, 1)
#elif RUN == 2
		run Set(5); run Get(1, 0)
#elif RUN == 3
		run Delete(1, 1); run Set(5)
#elif RUN == 4
		run Delete(1, 1); run Set(12)
#elif RUN == 5
		run Revoked(); run Set(12)
#elif RUN == 11
		run Set(8); run Get(1, 0)
#elif RUN == 12
		run Set(8); run Set(5)
#elif RUN == 13
		run Set(8); run Delete(1, 1)
#elif RUN == 14
		run Revoked(); run Set(8)
#elif RUN == 21
		run Set(8); run Set(9)
#elif RUN == 22
		run Set(8); run Delete(2, 1)
#endif
	}
}
