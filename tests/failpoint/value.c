/* SPDX-License-Identifier: MIT */
#include "tests/failpoint/value.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/expect.h"

struct head {
	uint32_t owner, key, number, size;
};

size_t value_key(char name[VALUE_KEY_MAX], const char *kind, uint32_t owner, uint32_t key)
{
	/* Keys of 17 to 32 bytes have ways of their own (cache/plain.h): half of these are such. */
	return (size_t)snprintf(name, VALUE_KEY_MAX, "%s.%u.%0*u", kind, owner, key % 2 ? 16 : 1, key);
}

bool value_deletes(uint32_t number)
{
	return number % 8 == 7;
}

static uint64_t seed_of(uint32_t owner, uint32_t key, uint32_t number)
{
	return (uint64_t)owner << 48 ^ (uint64_t)key << 32 ^ number;
}

bool value_some_large;

/* Most are small; now and then one fills several chunks. */
static uint32_t size_of(uint32_t owner, uint32_t key, uint32_t number)
{
	uint32_t mixed = (owner * 31 + key) * 31 + number;

	if (value_some_large && mixed % 16 == 0)
		return 66000 + mixed * 2654435761u % (VALUE_MAX - 66000);
	return (uint32_t)sizeof(struct head) + (mixed % 512 == 0 ? 20000 : mixed * 2654435761u >> 25);
}

size_t value_fill(unsigned char value[VALUE_MAX], uint32_t owner, uint32_t key, uint32_t number)
{
	struct head head = { owner, key, number, size_of(owner, key, number) };

	memcpy(value, &head, sizeof head);
	pattern_fill(value + sizeof head, head.size - sizeof head, seed_of(owner, key, number));
	return head.size;
}

uint32_t value_check(const void *bytes, size_t size, uint32_t owner, uint32_t key)
{
	struct head head = { 0 };

	if (size >= sizeof head)
		memcpy(&head, bytes, sizeof head);
	if (size < sizeof head || head.owner != owner || head.key != key || head.size != size ||
	    size != size_of(owner, key, head.number) ||
	    !pattern_holds((const unsigned char *)bytes + sizeof head, size - sizeof head,
	                   seed_of(owner, key, head.number)))
		expect_failed("key %u of member %u has a wrong value: %zu bytes, of key %u of member %u, write %u", key,
		              owner, size, head.key, head.owner, head.number);
	return head.number;
}

uint32_t value_record(uint32_t owner, uint32_t number)
{
	return owner << 24 | number;
}

uint32_t value_check_records(const uint32_t *records, size_t size, uint32_t owner)
{
	size_t count = size / sizeof *records;

	if (count == 0 || count > VALUE_RECORDS || size % sizeof *records != 0)
		expect_failed("the journal of member %u has %zu bytes", owner, size);
	for (size_t i = 0; i < count; i++)
		if (records[i] >> 24 != owner || (i > 0 && records[i] != records[i - 1] + 1))
			expect_failed("record %zu of the journal of member %u is %#x, after %#x", i, owner, records[i],
			              i ? records[i - 1] : 0);
	return records[count - 1] & 0xffffff;
}
