/* SPDX-License-Identifier: MIT */
/* A sentence for people about what went wrong, beside the errno for programs. */
#ifndef LARDER_BASE_FAULT_H
#define LARDER_BASE_FAULT_H

#define FAULT_BYTES 384

struct fault {
	char text[FAULT_BYTES];
};

/* Writes the sentence (name the fault and its cure) and returns result, so that "return fault_set(...)" reads well. */
int fault_set(struct fault *fault, int result, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
