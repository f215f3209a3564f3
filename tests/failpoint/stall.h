/* SPDX-License-Identifier: MIT */
/* What a client that stops, or holds a view, costs the writes of the others. */
#ifndef LARDER_TESTS_STALL_H
#define LARDER_TESTS_STALL_H

/* Measures for every way of stopping, prints what it finds. Return: the lowest share of writes that was left, 1 for all. */
double stall_measure(const char *size);

#endif
