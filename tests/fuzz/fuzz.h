/* SPDX-License-Identifier: MIT */
/*
 * What every fuzz target is: a name and a function that takes any bytes. libFuzzer calls it (make fuzz), and so does
 * replay.c with the inputs that are kept in corpus/<name> (make check). A target looks at nothing but its input, so that an
 * input does the same wherever it is replayed.
 */
#ifndef LARDER_FUZZ_FUZZ_H
#define LARDER_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern const char fuzz_name[];

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What must be so whatever the input is. Aborts, which is what both drivers take for a finding. */
#define FUZZ_EXPECT(condition) \
	((condition) ? (void)0 \
	             : (fprintf(stderr, "%s:%d: this is not so: %s\n", __FILE__, __LINE__, #condition), abort()))

#endif
