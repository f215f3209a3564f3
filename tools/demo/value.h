/* SPDX-License-Identifier: MIT */
/*
 * Values that can be checked: JSON texts that end in a 64-bit hash (XXH3) of all before it, seeded by the hash of their
 * key. A value that is torn, mixed of two, cut short or of another key does not match.
 */
#ifndef LARDER_DEMO_VALUE_H
#define LARDER_DEMO_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALUE_BYTES_MIN 256 /* a smaller target size gives about this many */
#define VALUE_BYTES_MAX (UINT32_C(16) << 10)
#define KEY_BYTES_MAX 32

/* Fills the text from which bodies are cut. Once, before the workers are forked. */
void value_prepare(void);

/* "session:..." and so on. Return: the key's size. */
size_t key_session(char key[KEY_BYTES_MAX], uint32_t user);
size_t key_fragment(char key[KEY_BYTES_MAX], uint32_t fragment);
size_t key_hits(char key[KEY_BYTES_MAX], uint32_t page);
size_t key_rate(char key[KEY_BYTES_MAX], uint32_t user);

/* Makes a value of about size bytes in a buffer of VALUE_BYTES_MAX. Return: its true size. */
size_t value_session(char *buffer, size_t size, uint32_t user, uint64_t sequence, unsigned writer);
size_t value_fragment(char *buffer, size_t size, uint32_t fragment, uint64_t revision);

/* Whether a value is whole and its key's own. */
bool value_intact(const char *value, size_t size, const char *key, size_t key_size);

/* What an intact session says of itself. False: it is no session. */
bool value_session_parse(const char *value, size_t size, uint32_t *ret_user, uint64_t *ret_sequence);

#endif
