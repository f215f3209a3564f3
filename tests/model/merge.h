/* SPDX-License-Identifier: MIT */
/* How the homes 0 and 2 are merged into home 1: what merge.pml shows. */
#undef IN_CHILD
#define IN_CHILD (b == 1)
#define LIST byte list[4], n, own; bool moved;
#ifdef TIGHT /* no overflow bucket is to be had in the parents */
#define HAS_ROOM (b == 1 && !crowded)
#else
#define HAS_ROOM (b != 1 || !crowded)
#endif
#define START(k) b = PARENT(k)

byte named; /* bit b: home b's segment names the child */
#ifdef BROKEN_ONE_NAMED
#define BEGUN (named & (1 << b))
#else
#define BEGUN (named == 5)
#endif

#ifdef BROKEN_OWN_FIRST
#define FIRST own
#else
#define FIRST 0
#endif
#define SECOND (2 - FIRST)

/*
 * Merges both homes, or finishes what others began; b is the home where that turned out to be needed. Each step may be repeated by
 * anybody at any later time. Where it has not begun, whoever wanted room waits for the keeper, or makes some: here, it gives up.
 */
inline split() {
	own = b;
	if
	:: BEGUN ->
		moved = false;
		n = 0;
		b = FIRST;
		freeze_home();
#ifdef BROKEN_MOVED_EARLY
		if :: moved -> skip :: else -> fill(); b = FIRST; leave() fi;
#endif
		b = SECOND;
		freeze_home();
		if :: moved -> skip :: else -> fill() fi;
		b = FIRST;
		leave();
		b = SECOND;
		leave();
		ok = false
	:: else -> assert(!icy); ok = true
	fi;
	atomic { b = own; own = 0; forget_list(); e = 0; i = 0; linked = false }
}

inline forget_list() { list[0] = 0; list[1] = 0; list[2] = 0; list[3] = 0; n = 0; moved = false }

/* Freezes home b and adds its objects to the list; moved: others have finished. */
inline freeze_home() {
	do
	:: c = control[b];
		if
		:: c & C_MOVED -> moved = true; break
		:: !(c & C_MOVED) && INTENT(c) -> help()
		:: !(c & C_MOVED) && !INTENT(c) && !(c & C_FROZEN) -> move(control[b], c, c | C_FROZEN)
		:: !(c & C_MOVED) && !INTENT(c) && (c & C_FROZEN) -> freeze(); break
		fi
	od
}

inline freeze() {
	i = 0;
	do
	:: i < 4 ->
		w = slot[4 * b + i];
#ifdef BROKEN_NO_FREEZE
		ok = true;
#elif defined(BROKEN_ONE_FROZEN)
		if :: (w & FROZEN) || b == SECOND -> ok = true :: else -> move(slot[4 * b + i], w, w | FROZEN) fi;
#else
		if :: w & FROZEN -> ok = true :: else -> move(slot[4 * b + i], w, w | FROZEN) fi;
#endif
		d_step {
			if
			:: ok ->
				if
				:: IS_OBJECT(w) && n < 4 -> list[n] = PLAIN(w); n++
				:: else
				fi;
				i = ((i == 1 && PLAIN(w) != LINK) -> 4 : i + 1)
			:: else
			fi
		}
	:: else -> break
	od
}

/* What belongs in the child's place i. */
#define LONG (n > 2 && !crowded)
#define WANTED (LONG -> (i == 1 -> LINK : list[i - (i > 1)]) : (i < 2 -> list[i] : 0))

inline fill() {
	i = 0;
	do
	:: i < 4 ->
		d_step { e = WANTED; e = (e -> e : SEALED); linked = LONG };
		if
		:: i == 2 && (!linked || slot[5] != LINK) -> i = 4 /* complete before we came */
		:: else ->
#ifdef BROKEN_NOT_VIRGIN
			d_step { if :: IS_EMPTY(slot[4 + i]) -> slot[4 + i] = e; check() :: else fi }
#elif defined(BROKEN_NO_SEAL)
			if :: e != SEALED -> move(slot[4 + i], EMPTY(0), e) :: else fi;
#else
			move(slot[4 + i], EMPTY(0), e);
#endif
			i++
		fi
	:: else -> break
	od
}

/* Home b has moved: its keys are looked for in the child from now on, so its segment must name one. */
inline leave() {
	d_step {
		if
		:: control[b] & C_MOVED
		:: else ->
			assert(named & (1 << b));
			control[b] = control[b] | C_MOVED;
			lost(0); lost(1); lost(2); lost(3);
			check()
		fi
	}
}

/* Eviction: what found no room in the child. */
inline lost(k) {
	if
	:: crowded && b == PARENT(k) && current[k] && !COUNT(1, k) -> current[k] = 0; note(k)
	:: else
	fi
}
