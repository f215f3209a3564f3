/* SPDX-License-Identifier: MIT */
/*
 * Recycling a data segment while readers, view holders, writers and in-place adders use it, and the keeper dies.
 *
 * One slot of the index; SEGMENTS segments with room for one object each. An object's memory is one cell: the
 * generation for which it was written, or 0: nothing sensible (poisoned, half written). A slot word names a segment and its
 * generation. So "the memory is what the word promised" is cell[s] == generation of the word. It is asserted
 *  - for what a reader read, when its section turns out unrevoked;
 *  - as long as a view is held;
 *  - when a writer publishes, and when somebody adds in place.
 * Besides: only one writer writes in a segment, nothing is recycled under it, and no slot word outlives its memory.
 *
 * A view's pin is a word of its thread's line, or if that holds another view already, a count. Whoever has the view at last takes the
 * pin away: the thread, or one to which it was handed (RUN 8).
 *
 * The keeper's patience is a free choice: it revokes at once, late or never. A killed keeper's successor knows what the
 * state words say, nothing else: it reopens a CONDEMNED segment, whose memory is untouched, and gives a RETIRED one a grace
 * period of its own. A killed writer's pin and epoch word are cleared on the proof of its death. A stopped process is one
 * that is not scheduled.
 */
#define SEGMENTS 2
#define FREE 0
#define OPEN 1
#define CONDEMNED 2
#define RETIRED 3 /* being made free */
#define REVOKED 15
#define EMPTY 0
#define WORD(s, g) (1 + (s) + SEGMENTS * (g))
#define SEGMENT(w) (((w) - 1) % SEGMENTS)
#define GENERATION(w) (((w) - 1) / SEGMENTS)
#define NOBODY 9
#define CLIENTS 3
#define KEEPER 3
#define SUCCESSOR 4

byte state[SEGMENTS], generation[SEGMENTS] = 1; /* with taken: one state word per segment, changed at once */
bool taken[SEGMENTS];
byte cell[SEGMENTS];
byte slot;
byte epoch = 1;
byte line[CLIENTS];                 /* epoch words */
byte write_pin[CLIENTS] = NOBODY;
byte view_pin[CLIENTS] = NOBODY;    /* of the one view that the line has room for */
byte view_pins[SEGMENTS];           /* how many others there are */
byte handed;                        /* a view on its way to who releases it: its word */
bool handed_in_line;
byte owner[SEGMENTS] = NOBODY;      /* ghost: who is writing there */
byte recycled;
bool killed[5];

#define CAS(location, old, new) d_step { ok = (location == old); if :: ok -> location = new :: else fi }

inline enter() { entered = epoch; line[me] = entered }

/* ok: the section was not revoked. */
inline leave() {
#ifdef BROKEN_NO_EXIT_CHECK
	ok = true;
#else
	ok = (line[me] == entered);
#endif
	line[me] = 0
}

/* Pins a segment for writing, then looks at its state. */
inline pin_write(s, g) {
#ifdef BROKEN_CHECK_BEFORE_PIN
	ok = (state[s] == OPEN && generation[s] == g);
	write_pin[me] = s;
#else
	write_pin[me] = s;
	ok = (state[s] == OPEN && generation[s] == g);
#endif
	if :: ok :: else -> write_pin[me] = NOBODY fi
}

proctype Reader(byte me, times) {
	byte entered, w, seen; bool ok;
	do
	:: times > 0 ->
		enter();
		w = slot;
		if :: w != EMPTY -> seen = cell[SEGMENT(w)] :: else fi;
		leave();
		if
		:: ok -> assert(w == EMPTY || seen == GENERATION(w)); times--
		:: else
		fi;
		atomic { entered = 0; w = 0; seen = 0; ok = false }
	:: else -> break
	od
}

/* Pins what was found. Others may come between the look at the line and the store, but only to take a pin away. */
inline pin_view(s) {
#ifdef BROKEN_OVER_ANOTHER
	in_line = true;
#else
	in_line = (view_pin[me] == NOBODY);
#endif
	if :: in_line -> view_pin[me] = s :: else -> view_pins[s]++ fi
}

/* By anybody, of the line of this client. */
inline unpin_view(client, s, is_in_line) {
	if :: is_in_line -> view_pin[client] = NOBODY :: else -> view_pins[s]-- fi
}

/* Somebody else releases what the viewer took. */
proctype Holder(byte client) {
end_waiting:
	do
	:: handed != EMPTY ->
		assert(cell[SEGMENT(handed)] == GENERATION(handed)); /* at any time before the next step */
		unpin_view(client, SEGMENT(handed), handed_in_line);
		d_step { handed = EMPTY; handed_in_line = false }
	od
}

proctype Viewer(byte me, times) {
	byte entered, w; bool ok, in_line;
	do
	:: times > 0 ->
		enter();
		w = slot;
#ifdef BROKEN_PIN_LATE
		leave();
		if :: w != EMPTY -> pin_view(SEGMENT(w)) :: else fi;
#else
		if :: w != EMPTY -> pin_view(SEGMENT(w)) :: else fi;
		leave();
#endif
		if
		:: w != EMPTY && ok -> assert(cell[SEGMENT(w)] == GENERATION(w)) /* at any time before the next step */
		:: else
		fi;
		if
#if RUN == 8
		:: d_step { w != EMPTY && ok && handed == EMPTY -> handed = w; handed_in_line = in_line }
#endif
		:: w != EMPTY -> unpin_view(me, SEGMENT(w), in_line)
		:: w == EMPTY
		fi;
		atomic { times = times - ok; entered = 0; w = 0; ok = false; in_line = false }
	:: else -> break
	od
}

proctype Writer(byte me, times) {
	byte entered, w, s, g; bool ok;
	{
		do
		:: times > 0 ->
			enter();
			w = slot;
			atomic { /* a chunk: of an open segment, or of a free one */
				s = NOBODY;
				if
				:: state[0] == FREE || (state[0] == OPEN && !taken[0]) -> s = 0
				:: state[1] == FREE || (state[1] == OPEN && !taken[1]) -> s = 1
				:: else
				fi;
				if :: s != NOBODY -> state[s] = OPEN; taken[s] = true; g = generation[s] :: else fi
			}
			if :: s != NOBODY -> pin_write(s, g) :: else -> ok = false fi;
			if
			:: ok ->
				d_step { assert(owner[s] == NOBODY); owner[s] = me; cell[s] = 0 }
				d_step { assert(owner[s] == me && generation[s] == g); cell[s] = g }
				d_step {
					assert(cell[s] == g && generation[s] == g);
					if :: slot == w -> slot = WORD(s, g) :: else fi
				}
				d_step { owner[s] = NOBODY; write_pin[me] = NOBODY }
			:: else
			fi;
			line[me] = 0;
			atomic { entered = 0; w = 0; s = 0; g = 0; ok = false; times-- }
		:: else -> break
		od
	} unless { killed[me] }
}

/* Changes an object in place. */
proctype Adder(byte me, times) {
	byte entered, w; bool ok;
	do
	:: times > 0 ->
		enter();
		w = slot;
		if
		:: w != EMPTY ->
#ifdef BROKEN_ADD_UNPINNED
			ok = (line[me] == entered);
#else
			pin_write(SEGMENT(w), GENERATION(w));
#endif
			if :: ok -> assert(cell[SEGMENT(w)] == GENERATION(w)); write_pin[me] = NOBODY :: else fi
		:: else
		fi;
		line[me] = 0;
		atomic { entered = 0; w = 0; ok = false; times-- }
	:: else -> break
	od
}


/* Raises the epoch and waits until nobody is in a section that began before; whoever takes too long is revoked. */
inline grace_period() {
	g = epoch + 1;
	epoch = g;
	i = 0;
	do
	:: i < CLIENTS ->
		w = line[i];
		if
		:: w == 0 || w >= g -> i++
		:: else -> if :: CAS(line[i], w, REVOKED) :: true fi /* out of patience, or look again */
		fi
	:: else -> break
	od
}

inline recycle() {
	d_step {
		assert(owner[s] == NOBODY);
		assert(slot == EMPTY || SEGMENT(slot) != s);
		cell[s] = 0
	}
	d_step { state[s] = FREE; taken[s] = false; generation[s]++; recycled++ }
}

proctype Keeper(byte me) {
	byte s, i, g, w; bool ok;
	{
		do /* take charge */
		:: s < SEGMENTS ->
			d_step { if :: state[s] == CONDEMNED -> state[s] = OPEN :: else fi }
			if
			:: state[s] == RETIRED -> grace_period(); recycle()
			:: else
			fi;
			s++
		:: else -> break
		od;
		do
		:: recycled < RECYCLES ->
end_idle:
			if :: atomic { state[0] == OPEN -> s = 0 } :: atomic { state[1] == OPEN -> s = 1 } fi;
			state[s] = CONDEMNED;
#ifndef BROKEN_NO_WRITE_PIN_WAIT
			i = 0;
			do :: i < CLIENTS -> write_pin[i] != s; i++ :: else -> break od;
#endif
#ifdef BROKEN_EPOCH_FIRST
			grace_period();
#endif
			do
			:: w = slot;
				if
				:: w == EMPTY || SEGMENT(w) != s || GENERATION(w) != generation[s] -> break
				:: else -> CAS(slot, w, EMPTY); if :: ok -> break :: else fi
				fi
			od;
#ifndef BROKEN_EPOCH_FIRST
			grace_period();
#endif
#ifndef BROKEN_NO_LOOK_AT_LINES
			i = 0;
			do :: i < CLIENTS -> view_pin[i] != s; i++ :: else -> break od;
#endif
			view_pins[s] == 0;
			state[s] = RETIRED;
			recycle();
			atomic { s = 0; i = 0; g = 0; w = 0; ok = false }
		:: else -> break
		od
	} unless { killed[me] }
}

proctype Kill(byte victim) {
	killed[victim] = true;
	d_step { /* the proof of death */
		if
		:: victim < CLIENTS ->
			write_pin[victim] = NOBODY; line[victim] = 0;
			if :: owner[0] == victim -> owner[0] = NOBODY :: else fi;
			if :: owner[1] == victim -> owner[1] = NOBODY :: else fi
		:: else
		fi
	}
	if :: victim == KEEPER -> run Keeper(SUCCESSOR) :: else fi
}

init {
	atomic {
		state[0] = OPEN; taken[0] = true; cell[0] = 1; slot = WORD(0, 1);
		run Keeper(KEEPER);
#if RUN == 1
		run Reader(0, 2); run Writer(1, 2)
#elif RUN == 2
		run Viewer(0, 2); run Writer(1, 2)
#elif RUN == 3
		run Writer(0, 1); run Writer(1, 1); run Kill(0)
#elif RUN == 4
		run Adder(0, 2); run Writer(1, 2)
#elif RUN == 5
		run Reader(0, 2); run Kill(KEEPER)
#elif RUN == 6
		run Viewer(0, 2); run Kill(KEEPER)
#elif RUN == 7
		run Writer(0, 1); run Kill(KEEPER)
#elif RUN == 8
		run Viewer(0, 2); run Holder(0); run Writer(1, 1)
#endif
	}
}
