/* SPDX-License-Identifier: MIT */
/* How a home is split: what split.pml shows. */
#define BEGUN true
#ifndef CHILDREN
#define CHILDREN 2
#endif

/* list[]: what the frozen chain held. Its objects for a child, and what then belongs in the child's place q. */
#ifdef BROKEN_PARTED /* as if there were two children */
#define IS_FOR(n, child) (IS_OBJECT(list[n]) && 1 + (KEY(OBJECT(list[n])) == 3) == child)
#else
#define IS_FOR(n, child) (IS_OBJECT(list[n]) && CHILD(KEY(OBJECT(list[n]))) == child)
#endif
#define TOTAL(child) (IS_FOR(0, child) + IS_FOR(1, child) + IS_FOR(2, child) + IS_FOR(3, child))
#define BEFORE(n, child) ((n > 0 && IS_FOR(0, child)) + (n > 1 && IS_FOR(1, child)) + (n > 2 && IS_FOR(2, child)))
#define NTH_IS(n, child, j) ((IS_FOR(n, child) && BEFORE(n, child) == (j)) * list[n])
#define NTH(child, j) (NTH_IS(0, child, j) + NTH_IS(1, child, j) + NTH_IS(2, child, j) + NTH_IS(3, child, j))
#define LONG(child) (TOTAL(child) > 2 && !(crowded & child))
#define WANTED(child, q) (LONG(child) -> ((q) == 1 -> LINK : NTH(child, (q) - ((q) > 1))) : NTH(child, q))

/* Fills the children by the list, leaving nothing never used in their chains. */
inline fill() {
	b = 1; i = 0;
	do
	:: b <= CHILDREN && i < 4 ->
		d_step { e = WANTED(b, i); e = (e -> e : SEALED); linked = LONG(b) };
		if
		:: i == 2 && (!linked || slot[4 * b + 1] != LINK) -> i = 4 /* complete before we came */
		:: else ->
#ifdef BROKEN_NOT_VIRGIN
			d_step { if :: IS_EMPTY(slot[4 * b + i]) -> slot[4 * b + i] = e; check() :: else fi }
#elif defined(BROKEN_NO_SEAL)
			if :: e != SEALED -> move(slot[4 * b + i], EMPTY(0), e) :: else fi;
#else
			move(slot[4 * b + i], EMPTY(0), e);
#endif
			i++
		fi
	:: b <= CHILDREN && i >= 4 -> b++; i = 0
	:: else -> break
	od
}

/* Splits home 0, or finishes what others began. Each step may be repeated by anybody at any later time. */
inline split() {
	b = 0;
	do
	:: c = control[0];
		if
		:: c & C_MOVED -> break
		:: !(c & C_MOVED) && INTENT(c) -> help()
		:: !(c & C_MOVED) && !INTENT(c) && !(c & C_FROZEN) -> move(control[0], c, c | C_FROZEN)
		:: !(c & C_MOVED) && (c & C_FROZEN) ->
			freeze();
			fill();
			b = 0;
			d_step {
				ok = (control[0] == c);
				if :: ok -> control[0] = c | C_MOVED; lost(0); lost(1); lost(2); lost(3); check() :: else fi
			}
		fi
	od;
	atomic { list[0] = 0; list[1] = 0; list[2] = 0; list[3] = 0; b = 0; linked = false; i = 0; e = 0 }
}

inline freeze() {
	i = 0;
	do
	:: i < 4 ->
		w = slot[i];
#ifdef BROKEN_NO_FREEZE
		ok = true;
#else
		if :: w & FROZEN -> ok = true :: else -> move(slot[i], w, w | FROZEN) fi;
#endif
		d_step {
			if
			:: ok -> list[i] = PLAIN(w); i = ((i == 1 && PLAIN(w) != LINK) -> 4 : i + 1)
			:: else
			fi
		}
	:: else -> break
	od
}

/* Eviction: what found no overflow bucket in its child. */
inline lost(k) {
	if
	:: (crowded & CHILD(k)) && current[k] && !COUNT(CHILD(k), k) -> current[k] = 0; note(k)
	:: else
	fi
}
