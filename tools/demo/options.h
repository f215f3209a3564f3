/* SPDX-License-Identifier: MIT */
/* What the command line says. */
#ifndef LARDER_DEMO_OPTIONS_H
#define LARDER_DEMO_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
	uint32_t workers;
	double seconds;
	uint32_t users;
	uint64_t seed;
	const char *size;    /* of the arena, as larderd takes it */
	const char *larderd; /* NULL: look for it */
	const char *trace;   /* NULL: the web shop */
	double speed;        /* of the trace; 0: as fast as possible */
	bool kill;           /* one worker half-way */
};

/* Return: 0; 1: help or version was printed; -EINVAL: a sentence went to stderr. */
int options_parse(int argc, char **argv, struct options *ret_options);

#endif
