/* SPDX-License-Identifier: MIT */
/*
 * A home of an index segment that is crowded only because keys came and went is built anew, in one child of the segment's own
 * depth: the steps are those of a split (split.pml), and everything goes to child 1. What is different is what a chain looks like: links whose
 * overflow buckets hold next to nothing, and places emptied long ago; and that a helper must not part the keys.
 *
 * RUN 1 to 3 begin with a bucket, a link, and one object in the overflow bucket; RUN 4 and 5 with a chain that is full, so the child
 * needs an overflow bucket as well; RUN 6 with a bucket whose keys are all gone. Death needs no steps of its own (map.h).
 */
#define SPLIT
#define CHILDREN 1
#define CHILD(k) 1
#include "index.h"

proctype Helper() { LOCALS split(); forget() }

/* Was revoked after the home had moved, and computes its list from memory that holds other objects by now. */
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

init {
	atomic {
		control[0] = CONTROL(0, 0, 3);
		control[1] = CONTROL(0, 0, 1);
		slot[1] = LINK;
		slot[2] = SEALED;
		slot[3] = SEALED;
#if RUN <= 3
		slot[0] = EMPTY(2);
		slot[2] = WORD(12); current[3] = 12; placed = 1 << 12;
#elif RUN <= 5
		slot[0] = WORD(1); current[0] = 1;
		slot[2] = WORD(4); current[1] = 4;
		slot[3] = WORD(12); current[3] = 12; placed = 1 << 1 | 1 << 4 | 1 << 12;
#else
		slot[0] = EMPTY(2);
		slot[2] = EMPTY(1);
#endif
		run Helper();
#if RUN == 1
		run Set(4); run Get(3, 0)
#elif RUN == 2
		run Helper(); run Set(13)
#elif RUN == 3
		run Revoked(); run Delete(3, 1)
#elif RUN == 4
		run Set(13); run Get(3, 0)
#elif RUN == 5
		run Revoked(); run Set(5)
#elif RUN == 6
		run Revoked(); run Set(8)
#endif
	}
}
