/* SPDX-License-Identifier: MIT */
/*
 * The unlink walk against intents. A writer may die after it wrote its intent into the control word and before anybody
 * placed the object; the pin it held on the object's segment is cleared with it. The keeper must not recycle that segment and
 * then see a helper place a word of it.
 *
 * One home with one slot; two segments, each with room for one object. cell[s] is the generation for which the object
 * there was written (0: poisoned). An intent names a segment only, not its generation, as in the code. The helper has no
 * epoch at all: it stands for a thread that was revoked, so the control word alone must protect it. Asserted: no word is placed or
 * published unless the object's memory is what the word says, and none is left when the segment is recycled.
 */
#define WORD(s, g) (16 + (s) + 2 * (g))
#define IS_EMPTY(w) ((w) < 16)
#define SEGMENT(w) (((w) - 16) % 2)
#define CONTROL(s1, seq) ((s1) + 4 * (seq)) /* s1: segment + 1 of the intent's object, or 0 */
#define INTENT(c) ((c) & 3)
#define SEQ(c) ((c) >> 2)
#define OPEN 1
#define CONDEMNED 2
#define NOBODY 9

byte slot, control = CONTROL(0, 1);
byte state[2] = OPEN, generation[2] = 1, cell[2];
bool taken[2];
byte write_pin[3] = NOBODY;
byte recycled;
bool killed[3];

#define CAS(location, old, new) d_step { ok = (location == old); if :: ok -> location = new :: else fi }

/* CAS of the slot that publishes a word. */
inline publish(old, new) {
	d_step {
		ok = (slot == old);
		if
		:: ok -> slot = new; assert(new == WORD(SEGMENT(new), generation[SEGMENT(new)]) && cell[SEGMENT(new)] == generation[SEGMENT(new)])
		:: else
		fi
	}
}

inline help() {
	word = WORD(INTENT(c) - 1, generation[INTENT(c) - 1]);
	e = slot;
	if
#ifdef BROKEN_NO_RECHECK
	:: true ->
#else
	:: control == c ->
#endif
		if :: IS_EMPTY(e) && e != SEQ(c) -> publish(e, word) :: else fi;
		CAS(control, c, CONTROL(0, SEQ(c)))
	:: else
	fi;
	d_step { word = 0; e = 0 }
}

proctype Writer(byte me, s) {
	byte c, e, word, g; bool ok;
	{
		d_step { if :: state[s] == OPEN && !taken[s] -> taken[s] = true; g = generation[s] :: else fi }
		if :: g == 0 -> goto done :: else fi;
		write_pin[me] = s;
		if :: state[s] == OPEN && generation[s] == g :: else -> goto unpin fi;
		cell[s] = g;
		do
		:: c = control;
			if
			:: INTENT(c) -> help()
			:: else ->
				e = slot;
				if
				:: !IS_EMPTY(e) -> publish(e, WORD(s, g))
				:: else ->
					CAS(control, c, CONTROL(s + 1, SEQ(c) + 1));
					if :: ok -> c = CONTROL(s + 1, SEQ(c) + 1); help(); break :: else fi
				fi;
				if :: ok -> break :: else fi
			fi
		od;
unpin:		write_pin[me] = NOBODY;
done:		skip
	} unless { killed[me] }
}

proctype Helper() {
	byte c, e, word; bool ok;
	c = control;
	if :: INTENT(c) -> help() :: else fi;
	c = control;
	if :: INTENT(c) -> help() :: else fi
}

proctype Keeper() {
	byte c, e, word, s; bool ok;
	do
	:: recycled < 2 ->
end_idle:
		if :: atomic { taken[0] -> s = 0 } :: atomic { taken[1] -> s = 1 } fi;
		state[s] = CONDEMNED;
		write_pin[0] != s; write_pin[1] != s;
		do
		:: cell[s] == generation[s] ->
			c = control;
			if
#ifndef BROKEN_WALK_IGNORES_INTENTS
			:: INTENT(c) -> help()
			:: !INTENT(c) ->
#else
			:: true ->
#endif
				e = slot;
				if
				:: e != WORD(s, generation[s]) -> break
				:: else -> c = control; CAS(slot, e, SEQ(c)); if :: ok -> break :: else fi
				fi
			fi
		:: else -> break
		od;
		atomic { assert(IS_EMPTY(slot) || SEGMENT(slot) != s); cell[s] = 0 }
		d_step { state[s] = OPEN; taken[s] = false; generation[s]++; recycled++ }
		d_step { c = 0; e = 0; s = 0; ok = false }
	:: else -> break
	od
}

proctype Kill(byte victim) {
	killed[victim] = true;
	write_pin[victim] = NOBODY /* on the proof of death */
}

init {
	atomic {
		run Writer(0, 0); run Kill(0); run Writer(1, 1); run Helper(); run Keeper();
#ifdef MORE
		run Writer(2, 0)
#endif
	}
}
