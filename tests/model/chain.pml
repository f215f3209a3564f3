/* SPDX-License-Identifier: MIT */
/*
 * A full bucket gets an overflow bucket.
 *
 * Its last slot, which holds an object Z, becomes a link to an overflow bucket O whose first slot holds Z: one CAS that
 * moves Z and attaches O. Whoever extends the chain works on the same O (claim.pml). First every never-used slot of
 * O is sealed; then, in a loop: read O's first slot, read the last slot of the full bucket (in this order, so that a slow
 * writer cannot put an older object over a newer one), make the first equal to the second, swing the link. Meanwhile Z
 * may be replaced or deleted, another object may come to its slot, and somebody may have given up half-way, leaving in
 * O a word long out of date: nothing of this may ever be seen.
 *
 * The bucket holds object 1 (key 0) and Z = 4 (key 1).
 * RUN 1: two that extend, and a replacer of Z
 * RUN 2: two that extend, and a deleter of Z
 * RUN 3: one that extends, replacer, deleter and reader of Z
 * RUN 4: two inserters of one key (extend, or use Z's place), deleter and reader of Z
 * RUN 5: two that extend, replacer and deleter of Z
 * RUN 6: two that extend and a deleter of Z, and a reader of the key that comes first
 */
#include "index.h"

init {
	atomic {
		control[0] = CONTROL(0, 0, 1);
		slot[0] = WORD(1); current[0] = 1;
		slot[1] = WORD(4); current[1] = 4;
		placed = 1 << 1 | 1 << 4;
#if RUN == 1
		run Set(8); run Set(12); run Set(5)
#elif RUN == 2
		run Set(8); run Set(12); run Delete(1, 1)
#elif RUN == 3
		run Set(8); run Set(5); run Delete(1, 1); run Get(1, 0)
#elif RUN == 4
		run Set(8); run Set(9); run Delete(1, 1); run Get(1, 0)
#elif RUN == 5
		run Set(8); run Set(12); run Set(5); run Delete(1, 1)
#elif RUN == 6
		run Set(8); run Set(12); run Delete(1, 1); run Get(0, 0)
#endif
	}
}
