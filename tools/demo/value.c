/* SPDX-License-Identifier: MIT */
#include "tools/demo/value.h"

#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tools/demo/random.h"

#define CHECK_PREFIX "\",\"check\":\""
#define CHECK_DIGITS 16
#define CHECK_SUFFIX "\"}"
#define SEAL_BYTES (sizeof CHECK_PREFIX - 1 + CHECK_DIGITS + sizeof CHECK_SUFFIX - 1)

static char text[2 * VALUE_BYTES_MAX]; /* a body is cut from anywhere in its first half */

void value_prepare(void)
{
	static const char *const words[] = {
		"basket",  "checkout", "wishlist", "recent", "offer", "return",   "voucher",
		"address", "visited",  "filter",   "colour", "size",  "delivery", "invoice",
		"search",  "garden",   "kitchen",  "books",  "music", "bicycle",
	};
	uint64_t state = 1;
	size_t used = 0;

	while (used < sizeof text) {
		const char *word = words[random_below(&state, sizeof words / sizeof words[0])];

		for (size_t i = 0; word[i] != '\0' && used < sizeof text; i++)
			text[used++] = word[i];
		if (used < sizeof text)
			text[used++] = ' ';
	}
}

static size_t key_make(char key[KEY_BYTES_MAX], const char *kind, uint32_t number)
{
	/* Mixed, as the identifiers in real keys are: neighbours share no beginning beyond the kind. */
	return (size_t)snprintf(key, KEY_BYTES_MAX, "%s:%016llx", kind, (unsigned long long)random_mix(number + 1));
}

size_t key_session(char key[KEY_BYTES_MAX], uint32_t user)
{
	return key_make(key, "session", user);
}

size_t key_fragment(char key[KEY_BYTES_MAX], uint32_t fragment)
{
	return key_make(key, "fragment", fragment);
}

size_t key_hits(char key[KEY_BYTES_MAX], uint32_t page)
{
	return key_make(key, "hits", page);
}

size_t key_rate(char key[KEY_BYTES_MAX], uint32_t user)
{
	return key_make(key, "rate", user);
}

/* Writes 16 digits; sprintf would cost more than the hash does. */
static void hex_write(char *digits, uint64_t number)
{
	for (int i = CHECK_DIGITS - 1; i >= 0; i--, number >>= 4)
		digits[i] = "0123456789abcdef"[number & 15];
}

static uint64_t hash_of(const char *value, size_t size, const char *key, size_t key_size)
{
	return XXH3_64bits_withSeed(value, size, XXH3_64bits(key, key_size));
}

/* Fills up to the wanted size with text that depends on the salt, and ends the value with its hash. */
static size_t seal(char *buffer, size_t used, size_t size, uint64_t salt, const char *key, size_t key_size)
{
	size_t body;

	if (size > VALUE_BYTES_MAX)
		size = VALUE_BYTES_MAX;
	body = size > used + SEAL_BYTES ? size - used - SEAL_BYTES : 0;
	memcpy(buffer + used, text + random_mix(salt) % VALUE_BYTES_MAX, body);
	used += body;
	memcpy(buffer + used, CHECK_PREFIX, sizeof CHECK_PREFIX - 1);
	hex_write(buffer + used + sizeof CHECK_PREFIX - 1, hash_of(buffer, used, key, key_size));
	memcpy(buffer + used + SEAL_BYTES - (sizeof CHECK_SUFFIX - 1), CHECK_SUFFIX, sizeof CHECK_SUFFIX - 1);
	return used + SEAL_BYTES;
}

size_t value_session(char *buffer, size_t size, uint32_t user, uint64_t sequence, unsigned writer)
{
	static const char *const locales[] = { "de_DE", "en_GB", "fr_FR", "pt_BR", "ja_JP" };
	uint64_t salt = random_mix(((uint64_t)user << 32) + sequence);
	char key[KEY_BYTES_MAX];
	size_t key_size = key_session(key, user);
	int used;

	used = snprintf(buffer, VALUE_BYTES_MAX,
	                "{\"user\":%u,\"seq\":%llu,\"writer\":%u,\"locale\":\"%s\",\"token\":\"%016llx\","
	                "\"cart\":[{\"sku\":%u,\"qty\":%u,\"cents\":%u}],\"trail\":\"",
	                user, (unsigned long long)sequence, writer, locales[salt % 5], (unsigned long long)salt,
	                (unsigned)(salt % 90000), (unsigned)(salt >> 8) % 5 + 1, (unsigned)(salt >> 16) % 20000);
	return seal(buffer, (size_t)used, size, salt, key, key_size);
}

size_t value_fragment(char *buffer, size_t size, uint32_t fragment, uint64_t revision)
{
	char key[KEY_BYTES_MAX];
	size_t key_size = key_fragment(key, fragment);
	int used = snprintf(buffer, VALUE_BYTES_MAX, "{\"fragment\":%u,\"revision\":%llu,\"html\":\"", fragment,
	                    (unsigned long long)revision);

	return seal(buffer, (size_t)used, size, revision, key, key_size);
}

bool value_intact(const char *value, size_t size, const char *key, size_t key_size)
{
	char digits[CHECK_DIGITS];
	const char *end;

	if (size < SEAL_BYTES)
		return false;
	end = value + size - SEAL_BYTES;
	hex_write(digits, hash_of(value, size - SEAL_BYTES, key, key_size));
	return memcmp(end, CHECK_PREFIX, sizeof CHECK_PREFIX - 1) == 0 &&
	       memcmp(end + sizeof CHECK_PREFIX - 1, digits, CHECK_DIGITS) == 0 &&
	       memcmp(value + size - (sizeof CHECK_SUFFIX - 1), CHECK_SUFFIX, sizeof CHECK_SUFFIX - 1) == 0;
}

/* Reads the name and then digits up to the comma. Return: what follows, or NULL. */
static const char *number_after(const char *at, const char *end, const char *name, uint64_t *ret_number)
{
	size_t name_size = strlen(name);
	uint64_t number = 0;

	if ((size_t)(end - at) < name_size || memcmp(at, name, name_size) != 0)
		return NULL;
	for (at += name_size; at < end && *at >= '0' && *at <= '9'; at++)
		number = number * 10 + (uint64_t)(*at - '0');
	*ret_number = number;
	return at < end && *at == ',' ? at + 1 : NULL;
}

bool value_session_parse(const char *value, size_t size, uint32_t *ret_user, uint64_t *ret_sequence)
{
	const char *end = value + size, *at;
	uint64_t user, sequence;

	at = number_after(value, end, "{\"user\":", &user);
	if (at == NULL || number_after(at, end, "\"seq\":", &sequence) == NULL)
		return false;
	*ret_user = (uint32_t)user;
	*ret_sequence = sequence;
	return true;
}
