/* SPDX-License-Identifier: MIT */
#include "base/layout.h"
#include "tests/support/suite.h"

#define BITS(low, count) (((UINT64_C(1) << (count)) - 1) << (low))

/* Adds a field to the bits of a word that are taken. */
static void take(uint64_t *taken, uint64_t field)
{
	ck_assert_uint_ne(field, 0);
	ck_assert_uint_eq(*taken & field, 0);
	*taken |= field;
}

START_TEST(test_fields_of_a_control_word_do_not_overlap)
{
	uint64_t taken = 0;

	take(&taken, CONTROL_OFFSET_MASK);
	take(&taken, CONTROL_TARGET_MASK << CONTROL_TARGET_SHIFT);
	take(&taken, CONTROL_FROZEN);
	take(&taken, CONTROL_MOVED);
	take(&taken, SEQUENCE_MASK << CONTROL_SEQUENCE_SHIFT);
	ck_assert_uint_eq(taken, UINT64_MAX);
	ck_assert_uint_ge(CONTROL_TARGET_MASK, CHAIN_SLOTS - 1);
}
END_TEST

START_TEST(test_fields_of_a_slot_word_do_not_overlap)
{
	uint64_t taken = 0;

	take(&taken, SLOT_OFFSET_MASK);
	take(&taken, SLOT_FROZEN);
	take(&taken, SLOT_HEAT_MASK);
	take(&taken, SLOT_GENERATION_MASK << SLOT_GENERATION_SHIFT);
	take(&taken, SLOT_TAG_MASK << SLOT_TAG_SHIFT);
	take(&taken, SLOT_OBJECT);
	ck_assert_uint_eq(taken, UINT64_MAX);

	/* an empty word must not look like an object or a link */
	taken = SLOT_OBJECT | SLOT_LINK;
	take(&taken, SLOT_OFFSET_MASK);
	take(&taken, SLOT_FROZEN);
	take(&taken, SEQUENCE_MASK << SLOT_SEQUENCE_SHIFT);
	ck_assert_uint_ge(SLOT_OFFSET_MASK * OBJECT_UNIT, ARENA_BYTES_MAX - OBJECT_UNIT);
}
END_TEST

START_TEST(test_fields_of_a_state_word_do_not_overlap)
{
	uint64_t taken = 0;

	take(&taken, UINT32_MAX); /* the generation */
	take(&taken, BITS(SEGMENT_STATE_SHIFT, 4));
	take(&taken, BITS(SEGMENT_TENANT_SHIFT, 4));
	take(&taken, BITS(SEGMENT_CLASS_SHIFT, 7));
	take(&taken, BITS(SEGMENT_POOL_SHIFT, 1));
	take(&taken, BITS(SEGMENT_CHUNK_SHIFT, 16));
	ck_assert_uint_le(SEGMENT_BYTES_MAX / CHUNK_BYTES, 0xffff);
	ck_assert_uint_le(TTL_CLASSES, 0x7f);
}
END_TEST

START_TEST(test_what_different_sides_write_shares_no_line)
{
	ck_assert_uint_eq(offsetof(struct arena_header, epoch) % PRIVATE_LINE, 0);
	ck_assert_uint_eq(offsetof(struct arena_header, free_sequence) % PRIVATE_LINE, 0);
	ck_assert_uint_eq(offsetof(struct arena_header, open_segment) % PRIVATE_LINE, 0);
	ck_assert_uint_eq(offsetof(struct control_page, threads) % PRIVATE_LINE, 0);
	ck_assert_uint_eq(sizeof(struct control_page) % sizeof(atomic_u32), 0);
}
END_TEST

/* A stamp that ignored a fact, or the order of two, would let different layouts meet. */
START_TEST(test_stamp_folds_every_fact_in_its_place)
{
	const uint64_t basis = UINT64_C(0xcbf29ce484222325);

	ck_assert_uint_eq(layout_stamp(), layout_stamp());
	ck_assert_uint_ne(layout_stamp(), 0);
	ck_assert_uint_ne(layout_stamp(), basis);
	ck_assert_uint_ne(LAYOUT_FOLD(LAYOUT_FOLD(basis, 1), 2), LAYOUT_FOLD(LAYOUT_FOLD(basis, 2), 1));
	ck_assert_uint_ne(LAYOUT_FOLD(basis, 0), basis);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("layout");

	tcase_add_test(tests, test_fields_of_a_control_word_do_not_overlap);
	tcase_add_test(tests, test_fields_of_a_slot_word_do_not_overlap);
	tcase_add_test(tests, test_fields_of_a_state_word_do_not_overlap);
	tcase_add_test(tests, test_what_different_sides_write_shares_no_line);
	tcase_add_test(tests, test_stamp_folds_every_fact_in_its_place);
	return suite_run("layout", tests);
}
