/* SPDX-License-Identifier: MIT */
/*
 * One bucket: insert by intent, replace, delete, lookup.
 *
 * The problem of inserting: "the key is in no slot" is not a fact about one word. So the control word first gets the
 * intent (object, slot, sequence), by a CAS against what it was before the slots were read; whoever meets an intent completes
 * it. An empty slot says in which sequence it became empty, which is how a late helper knows that the object was placed
 * and removed again. map.h tells what is asserted at every step.
 *
 * RUN 1: two inserters of one key, a deleter and a reader on an empty bucket
 * RUN 2: three inserters, two of one key, and its deleter
 * RUN 3: two setters and two deleters of a key that is there
 */
#include "index.h"

init {
	atomic {
		control[0] = CONTROL(0, 0, 1);
#if RUN == 1
		run Set(1); run Set(2); run Delete(0, 1); run Get(0, 0)
#elif RUN == 2
		run Set(1); run Set(2); run Set(4); run Delete(0, 1)
#elif RUN == 3
		slot[0] = WORD(3); current[0] = 3; placed = 8;
		run Set(1); run Set(2); run Delete(0, 1); run Delete(0, 2)
#endif
	}
}
