/* SPDX-License-Identifier: MIT */
/* What every part of larder-bench shares: the options of a run, and how it complains. */
#ifndef LARDER_BENCH_BENCH_H
#define LARDER_BENCH_BENCH_H

#include <stdbool.h>

struct bench_options {
	bool json;             /* one JSON object instead of a table */
	bool quick;            /* fewer rounds */
	bool full;             /* memory: as much as it takes */
	bool reserve_huge;     /* ask the kernel for huge pages, and give them back */
	unsigned rounds;       /* 0: the subcommand's own choice */
	unsigned long count;   /* instructions: operations; missratio: requests of a trace; 0: the usual number */
	unsigned long keys;    /* entries; 0: the subcommand's own choice */
	const char *trace;     /* missratio: a file, or NULL: generated sequences */
	const char *pages;     /* larderd's --pages, or NULL: larderd's own choice */
	const char *operation; /* instructions: which one */
};

/* The subcommands. Return: 0 or a negative value; they have complained by then. */
int bench_core(const struct bench_options *options);
int bench_instructions(const struct bench_options *options);
int bench_memory(const struct bench_options *options);
int bench_missratio(const struct bench_options *options);
int bench_scaling(const struct bench_options *options);
int bench_expiry(const struct bench_options *options);
int bench_growth(const struct bench_options *options);
int bench_overload(const struct bench_options *options);
int bench_fragmentation(const struct bench_options *options);
int bench_full(const struct bench_options *options);
int bench_quick(const struct bench_options *options);

/* Writes a line to standard error and returns result, so that "return complain(...)" reads well. */
int complain(int result, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
