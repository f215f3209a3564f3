/* SPDX-License-Identifier: MIT */
/*
 * The life of an extent: a run of segments, of which the head's word speaks for all.
 *
 * Three segments. A word has a state, a generation, and as many segments as it speaks for. One writer takes an extent that is ready, in
 * two segments or three; the others take single free ones. Each pins the head, looks once more, and writes. The keeper prepares
 * extents in a window at the first segment, condemns, waits for pins, recycles, takes back what is offered in vain, and looks for
 * segments that continue an extent and that no head covers. Writers and keeper may be killed anywhere; the next keeper knows the states
 * only.
 *
 * Asserted: nobody writes where another does; what a head covers while somebody writes continues it; in the end all is free.
 */
#define FREE 0
#define OPEN 1
#define CONDEMNED 2
#define RETIRED 4
#define RESERVE 6
#define EXTENT 8
#define READY 9
#define SEGMENTS 3
#define WRITERS 2
#define NOBODY 9

byte state[SEGMENTS], length[SEGMENTS] = 1, generation[SEGMENTS];
byte wanted;
byte pinned[WRITERS];                 /* segment + 1 */
bool killed[WRITERS], ended[WRITERS];
byte owner[SEGMENTS] = NOBODY;        /* ghost: who writes there */

inline let_go(w) {
	for (z : 0 .. SEGMENTS - 1) { if :: owner[z] == w -> owner[z] = NOBODY :: else fi };
	z = 0
}

proctype Writer(byte me; byte n) {
	byte s, g, i, z;
	{
		if
		:: n == 1 -> /* a free segment */
			atomic {
				if
				:: state[1] == FREE -> s = 1
				:: state[2] == FREE -> s = 2
				:: else -> goto done
				fi;
				state[s] = OPEN; length[s] = 1; g = generation[s]
			}
		:: else ->
			wanted = (wanted < n -> n : wanted);
			atomic {
				if
				:: state[0] == READY && length[0] >= n
				:: true -> goto done /* its time is over */
				fi;
				s = 0; state[0] = OPEN; length[0] = n; g = generation[0]
			}
		fi;
		pinned[me] = s + 1;
		if
		:: state[s] == OPEN && generation[s] == g
		:: else -> goto unpin
		fi;
		i = 0;
		do
		:: i < n ->
			atomic {
				assert(owner[s + i] == NOBODY);
				assert(i == 0 || state[s + i] == EXTENT);
				owner[s + i] = me
			};
			i++
		:: else -> break
		od;
		atomic { let_go(me) };
unpin:		pinned[me] = 0;
done:		skip
	} unless { killed[me] };
	atomic { let_go(me) };
	ended[me] = true
}

/* On the proof of death the pin goes. */
proctype Kill(byte victim) {
	killed[victim] = true;
	ended[victim];
	pinned[victim] = 0
}

#define COVERS(q) (state[q] == OPEN || state[q] == CONDEMNED || state[q] == READY)
#define DIE if :: deaths < 1 -> deaths++; goto adopt :: true fi

inline recycle(q) {
	generation[q]++; length[q] = 1;
	state[q] = (q < window -> RESERVE : FREE)
}

inline give_back(q) {
	l = length[q];
#ifdef BROKEN_REST_FIRST
	i = 1;
	do
	:: i < l -> if :: state[q + i] == EXTENT -> recycle(q + i) :: else fi; DIE; i++
	:: else -> break
	od;
	state[q] = RETIRED;
#else
	state[q] = RETIRED;
	DIE;
	i = 1;
	do
	:: i < l -> if :: state[q + i] == EXTENT -> recycle(q + i) :: else fi; DIE; i++
	:: else -> break
	od;
#endif
	recycle(q)
}

inline sweep() {
	s = 0;
	do
	:: s < SEGMENTS ->
		atomic { l = (COVERS(s) -> length[s] : 1) };
#ifndef BROKEN_NO_SWEEP
		if :: state[s] == EXTENT -> state[s] = RETIRED; DIE; recycle(s) :: else fi;
#endif
		s = s + l
	:: else -> break
	od
}

inline condemn_and_free(q) {
	if :: atomic { state[q] == OPEN -> state[q] = CONDEMNED } :: else fi;
	DIE;
	if
	:: state[q] == CONDEMNED && pinned[0] != q + 1 && pinned[1] != q + 1 ->
		/* What a head covers lasts as long as the head does. */
		assert(length[q] < 2 || state[q + 1] == EXTENT);
		assert(length[q] < 3 || state[q + 2] == EXTENT);
		give_back(q)
	:: else
	fi
}

inline offer() {
#ifdef BROKEN_HEAD_FIRST
	length[0] = window; state[0] = READY;
	DIE;
#endif
	i = 1;
	do
	:: i < window -> state[i] = EXTENT; DIE; i++
	:: else -> break
	od;
#ifndef BROKEN_HEAD_FIRST
	atomic { length[0] = window; state[0] = READY };
#endif
	window = 0; wanted = 0
}

proctype Keeper() {
	byte s, l, i, window, deaths, turns;

adopt:	window = 0;
	s = 0;
	do
	:: s < SEGMENTS ->
		if
		:: state[s] == CONDEMNED -> state[s] = OPEN
		:: state[s] == RESERVE -> state[s] = FREE
		:: state[s] == RETIRED -> recycle(s)
		:: else
		fi;
		s++
	:: else -> break
	od;
	do
	:: turns < 3 ->
		turns++;
		sweep();
		if :: window == 0 -> window = wanted :: else fi;
		s = 0;
		do
		:: s < window ->
			if :: atomic { state[s] == FREE -> state[s] = RESERVE } :: else fi;
			DIE;
			condemn_and_free(s);
			s++
		:: else -> break
		od;
		if
		:: window && state[0] == RESERVE && state[1] == RESERVE && (window < 3 || state[2] == RESERVE) -> offer()
		:: else
		fi;
		DIE
	:: else -> break
	od;

	/* All come to an end; nobody wants anything any more. */
	ended[0] && ended[1] && !pinned[0] && !pinned[1];
	window = 0; wanted = 0;
	s = 0;
	do
	:: s < SEGMENTS ->
		if
		:: atomic { state[s] == READY -> state[s] = RETIRED }; recycle(s)
		:: state[s] == RESERVE -> state[s] = FREE
		:: else -> condemn_and_free(s)
		fi;
		s++
	:: else -> break
	od;
	sweep();
	assert(state[0] == FREE && state[1] == FREE && state[2] == FREE)
}

init {
	atomic {
#if RUN == 1
		run Writer(0, 3); run Writer(1, 1);
#elif RUN == 2
		run Writer(0, 2); run Writer(1, 1);
#else
		run Writer(0, 3); run Writer(1, 2);
#endif
		run Keeper(); run Kill(0)
	}
}
