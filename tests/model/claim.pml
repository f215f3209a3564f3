/* SPDX-License-Identifier: MIT */
/*
 * Finding the overflow bucket of a home: whoever looks walks the same sequence of places and takes the first that is free or
 * already the home's; an owner never changes. Shown: all who look for one home, at any speed, find the same bucket or
 * all find none; two homes never share one; a claimer that stops anywhere leaves nothing undone (every run with a
 * process that is never scheduled again is among those searched).
 *
 * Three places, two levels or homes A and B with different sequences, three seekers of A and two of B; with FOREIGN a third home takes
 * two places first, so that there is one place for two homes.
 */
#define PLACES 3
#define NOWHERE 7

byte owner[PLACES];
byte found[4]; /* ghost, by home: 0 not known; place + 1; NOWHERE */

inline place(home, probe) { at = (home + probe * (home == 1 -> 1 : 2)) % PLACES }

proctype Seeker(byte home) {
	byte probe, at, current, result;
	result = NOWHERE;
	do
	:: probe < PLACES ->
		place(home, probe);
		current = owner[at];
		if
		:: current == 0 ->
#ifdef BROKEN_BLIND
			owner[at] = home; current = home
#else
			d_step { if :: owner[at] == 0 -> owner[at] = home :: else fi; current = owner[at] }
#endif
		:: else
		fi;
#ifdef BROKEN_NOT_MINE
		if :: current == home && result == NOWHERE && !found[home] -> result = at + 1; break :: else fi;
#else
		if :: current == home -> result = at + 1; break :: else fi;
#endif
		probe++
	:: else -> break
	od;
	atomic {
		assert(found[home] == 0 || found[home] == result);
		found[home] = result;
		assert(result == NOWHERE || found[3 - home] != result)
	}
}

init {
	atomic {
#ifdef FOREIGN
		owner[0] = 3; owner[2] = 3;
#endif
		run Seeker(1); run Seeker(1); run Seeker(1); run Seeker(2); run Seeker(2)
	}
}
