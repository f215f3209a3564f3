/* SPDX-License-Identifier: MIT */
/*
 * The homes 0 and 2 of two sibling segments, with the keys below UPPER and from UPPER on, are merged into home 1 of one child.
 *
 * The steps are those of a split (split.pml), with two parents and one child: both chains are frozen, the lower sibling's first, and only then,
 * when neither can change any more, is the child filled, by one list that is the same for all; then both homes move, one after the other. In between
 * the keys of one parent are read and written in the child already, those of the other are still read in the parent; who wants to write them
 * finishes the merge first. Whoever finds one home moved need not fill, for the child was complete then.
 *
 * The keeper names the child in both segments, one after the other, and may die in between. Who finds it named in one only must do nothing:
 * readers of the other parent would not find the child.
 *
 * RUN 1 to 6 begin with room for an insert in both homes; RUN 11 to 14 with a full home 0, so the child needs an overflow bucket; RUN 21 and 22
 * with links with next to nothing behind them. RUN 31 and 32 (TIGHT, UPPER=3): a setter finds home 0 full and no room. Every setter of a new key
 * may begin before he met anything frozen. CROWDED: the child has no overflow bucket, and what does not fit is lost, for everybody alike. Death
 * needs no steps of its own (map.h).
 */
#define MERGE
#define CHILD(k) 1
#ifndef UPPER
#define UPPER 2
#endif
#define PARENT(k) (2 * ((k) >= UPPER))
#include "index.h"

proctype Keeper() {
	LOCALS
	named = 1;
	named = 5;
	split();
	forget()
}

proctype Helper(byte home) {
	LOCALS
	named == 5;
	b = home;
	split();
	forget()
}

/* Was revoked after a home had moved, and computes its list from memory that holds other objects by now. */
proctype Revoked() {
	LOCALS
	(control[0] | control[2]) & C_MOVED;
	atomic {
		list[0] = WORD(13); n = 1;
		if :: list[1] = WORD(14); n = 2 :: list[1] = WORD(3); n = 2 :: skip fi;
		if :: n == 2 -> list[2] = WORD(7); n = 3 :: n == 2 -> list[2] = WORD(15); n = 3 :: true fi
	};
	fill();
	atomic { forget_list() }
	forget()
}

init {
	atomic {
		control[0] = CONTROL(0, 0, 2);
		control[1] = CONTROL(0, 0, 1);
		control[2] = CONTROL(0, 0, 3);
#if RUN < 10
		slot[0] = WORD(1); current[0] = 1;
		slot[1] = EMPTY(1);
		slot[8] = EMPTY(2);
		slot[9] = WORD(8); current[2] = 8;
		placed = 1 << 1 | 1 << 8;
#elif RUN < 20 || RUN > 30
		slot[0] = WORD(1); current[0] = 1;
		slot[1] = WORD(4); current[1] = 4;
		slot[8] = EMPTY(2);
#if UPPER == 2
		slot[9] = WORD(8); current[2] = 8;
		placed = 1 << 1 | 1 << 4 | 1 << 8;
#else
		slot[9] = WORD(12); current[3] = 12;
		placed = 1 << 1 | 1 << 4 | 1 << 12;
#endif
#else
		slot[0] = EMPTY(1);
		slot[1] = LINK;
		slot[2] = WORD(4); current[1] = 4;
		slot[3] = EMPTY(1);
		slot[8] = EMPTY(2);
		slot[9] = LINK;
		slot[10] = SEALED;
		slot[11] = WORD(12); current[3] = 12;
		placed = 1 << 4 | 1 << 12;
#endif
#ifdef CROWDED
		crowded = 1;
#endif
		run Keeper();
#if RUN == 1
		run Helper(2); run Get(0, 0); run Get(2, 1)
#elif RUN == 2
		run Set(4); run Get(2, 0)
#elif RUN == 3
		run Set(13); run Get(3, 0)
#elif RUN == 4
		run Delete(2, 1); run Set(9)
#elif RUN == 5
		run Revoked(); run Set(13)
#elif RUN == 6
		run Helper(2); run Set(13)
#elif RUN == 11
		run Set(9); run Get(2, 0)
#elif RUN == 12
		run Delete(0, 1); run Set(9)
#elif RUN == 13
		run Revoked(); run Set(5)
#elif RUN == 14
		run Helper(2); run Set(9)
#elif RUN == 21
		run Set(13); run Delete(1, 1)
#elif RUN == 22
		run Revoked(); run Delete(3, 1)
#elif RUN == 31
		run Set(8); run Get(3, 0)
#elif RUN == 32
		run Set(8); run Set(13)
#endif
	}
}
