/* SPDX-License-Identifier: MIT */
/* Structures of the public API that begin with their own size, so that programs and library may differ in age. */
#ifndef LARDER_CLIENT_OPTIONS_H
#define LARDER_CLIENT_OPTIONS_H

#include <stddef.h>

/*
 * Copies a caller's options into the structure this library knows. What the caller's does not have yet becomes zero;
 * what it has beyond must be zero, for it asks for something unknown here. options NULL: all zero.
 * Return: 0, -EINVAL.
 */
int options_read(const void *options, void *ret_known, size_t known_size);

/*
 * The other direction, for a structure that is filled for the caller: as much as it has room for, its size left as it
 * is. Return: 0; -EINVAL: it has no sensible size.
 */
int options_write(const void *known, size_t known_size, void *ret_structure);

#endif
