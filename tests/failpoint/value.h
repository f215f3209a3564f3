/* SPDX-License-Identifier: MIT */
/* Keys and values that tell who wrote them, and by which write, and whose every byte can be checked. */
#ifndef LARDER_TESTS_VALUE_H
#define LARDER_TESTS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALUE_KEY_MAX 48
#define VALUE_MAX 400000
#define VALUE_RECORDS 40 /* of a journal, which then begins anew */

/* A short value. */
struct value_mark {
	uint32_t owner, number;
};

/* The name of a key. Return: its size. */
size_t value_key(char name[VALUE_KEY_MAX], const char *kind, uint32_t owner, uint32_t key);

/* Whether the write of this number is a delete. */
bool value_deletes(uint32_t number);

/* The value of a write. Return: its size. */
/* Whether there are values that are larger than a segment: the same for all who write and check. */
extern bool value_some_large;

size_t value_fill(unsigned char value[VALUE_MAX], uint32_t owner, uint32_t key, uint32_t number);

/* The number of the write that a value is of. One that no write made ends the process. */
uint32_t value_check(const void *bytes, size_t size, uint32_t owner, uint32_t key);

/* A record of a journal, and the number of the last of a journal, whose records must be consecutive. */
uint32_t value_record(uint32_t owner, uint32_t number);
uint32_t value_check_records(const uint32_t *records, size_t size, uint32_t owner);

#endif
