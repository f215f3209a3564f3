/* SPDX-License-Identifier: MIT */
/*
 * The checker must accept what can be explained and reject what cannot; each history below is the smallest of its kind.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/linear/checker.h"

static struct checker *checker;

static void setup(void)
{
	checker = checker_create();
	ck_assert_ptr_nonnull(checker);
}

static void teardown(void)
{
	checker_destroy(checker);
}

/* One operation in [from, to]; the version of value v is 10 v. */
/* clang-format off */
#define GET(from, to, v) { .invoked = from, .returned = to, .kind = OPERATION_GET, .value = v, .version = 10 * (v) }
#define GET_MISS(from, to) { .invoked = from, .returned = to, .kind = OPERATION_GET, .outcome = OUTCOME_MISS }
#define WRITE(from, to, what, v) { .invoked = from, .returned = to, .kind = what, .value = v, .version = 10 * (v) }
#define SET(from, to, v) WRITE(from, to, OPERATION_SET, v)
#define ADD(from, to, v) WRITE(from, to, OPERATION_ADD, v)
#define ADD_EXISTS(from, to) { .invoked = from, .returned = to, .kind = OPERATION_ADD, .outcome = OUTCOME_EXISTS }
#define REPLACE(from, to, v) WRITE(from, to, OPERATION_REPLACE, v)
#define REPLACE_MISS(from, to) { .invoked = from, .returned = to, .kind = OPERATION_REPLACE, .outcome = OUTCOME_MISS }
#define CAS(from, to, old, v) \
	{ .invoked = from, .returned = to, .kind = OPERATION_CAS, .expected = 10 * (old), .value = v, \
	  .version = 10 * (v) }
#define CAS_FAILS(from, to, old, why) \
	{ .invoked = from, .returned = to, .kind = OPERATION_CAS, .expected = 10 * (old), .outcome = why }
#define DELETE(from, to) { .invoked = from, .returned = to, .kind = OPERATION_DELETE }
#define DELETE_MISS(from, to) { .invoked = from, .returned = to, .kind = OPERATION_DELETE, .outcome = OUTCOME_MISS }
#define DELETE_VERSION(from, to, old) \
	{ .invoked = from, .returned = to, .kind = OPERATION_DELETE, .expected = 10 * (old) }
#define DELETE_CHANGED(from, to, old) \
	{ .invoked = from, .returned = to, .kind = OPERATION_DELETE, .expected = 10 * (old), \
	  .outcome = OUTCOME_CHANGED }
/* clang-format on */

#define OPERATIONS_MAX 12

struct history {
	const char *name;
	bool may_evict;
	unsigned last_returned; /* bad: when the operation returned that cannot be explained; 0: not looked at */
	struct operation operations[OPERATIONS_MAX]; /* ended by one that never returned */
};

static const struct history good[] = {
	{ "nothing", false, 0, { { 0 } } },
	{ "miss at first", false, 0, { GET_MISS(1, 2) } },
	{ "a life", false, 0, { GET_MISS(1, 2), SET(3, 4, 1), GET(5, 6, 1), DELETE(7, 8), GET_MISS(9, 10) } },
	{ "read while it is written: new", false, 0, { SET(1, 10, 1), GET(2, 3, 1) } },
	{ "read while it is written: old", false, 0, { SET(1, 10, 1), GET_MISS(2, 3), GET(11, 12, 1) } },
	{ "overlapping reads may differ", false, 0, { SET(1, 2, 1), SET(3, 20, 2), GET(4, 9, 2), GET(5, 10, 1) } },
	{ "touching ends overlap", false, 0, { SET(1, 5, 1), GET_MISS(5, 6), GET(7, 8, 1) } },
	{ "the later call takes effect first", false, 0, { SET(1, 10, 2), SET(2, 9, 1), GET(11, 12, 2) } },
	{ "one of two adds", false, 0, { ADD(1, 5, 1), ADD_EXISTS(2, 6), GET(7, 8, 1) } },
	{ "add fails before the other returned", false, 0, { ADD_EXISTS(2, 3), ADD(1, 5, 1) } },
	{ "add after delete", false, 0, { ADD(1, 2, 1), DELETE(3, 8), ADD(4, 9, 2), GET(10, 11, 2) } },
	{ "replace", false, 0, { REPLACE_MISS(1, 2), SET(3, 4, 1), REPLACE(5, 6, 2), GET(7, 8, 2) } },
	{ "cas", false, 0, { SET(1, 2, 1), CAS(3, 4, 1, 2), CAS_FAILS(5, 6, 1, OUTCOME_CHANGED), GET(7, 8, 2) } },
	{ "one of two cas", false, 0, { SET(1, 2, 1), CAS(3, 9, 1, 2), CAS_FAILS(4, 8, 1, OUTCOME_CHANGED) } },
	{ "cas on nothing", false, 0, { CAS_FAILS(1, 2, 1, OUTCOME_MISS), SET(3, 4, 1) } },
	{ "cas meets delete", false, 0, { SET(1, 2, 1), DELETE(3, 9), CAS_FAILS(4, 8, 1, OUTCOME_MISS) } },
	{ "delete of a version",
	  false,
	  0,
	  { SET(1, 2, 2), DELETE_CHANGED(3, 4, 1), DELETE_VERSION(5, 6, 2), GET_MISS(7, 8) } },
	{ "two deletes, one key", false, 0, { SET(1, 2, 1), DELETE(3, 9), DELETE_MISS(4, 8) } },
	{ "needs going back on a choice",
	  false,
	  0,
	  { SET(1, 20, 3), SET(2, 19, 1), SET(3, 18, 2), GET(21, 22, 3), GET(4, 30, 1), GET(5, 31, 2) } },
	{ "evicted", true, 0, { SET(1, 2, 1), GET_MISS(3, 4), ADD(5, 6, 2), GET(7, 8, 2) } },
	{ "evicted under cas and delete",
	  true,
	  0,
	  { SET(1, 2, 1), CAS_FAILS(3, 4, 1, OUTCOME_MISS), DELETE_MISS(5, 6), SET(7, 8, 2), REPLACE_MISS(9, 10) } },
};

static const struct history bad[] = {
	{ "read of what nobody wrote", false, 2, { GET(1, 2, 7) } },
	{ "read from the future", false, 2, { GET(1, 2, 1), SET(3, 4, 1) } },
	{ "stale read", false, 6, { SET(1, 2, 1), SET(3, 4, 2), GET(5, 6, 1), GET(7, 8, 2) } },
	{ "new then old", false, 8, { SET(1, 2, 1), SET(3, 20, 2), GET(4, 5, 2), GET(6, 8, 1) } },
	{ "two readers disagree on an order",
	  false,
	  0,
	  { SET(1, 10, 1), SET(1, 10, 2), GET(11, 12, 2), GET(13, 14, 1) } },
	{ "written, then missed", false, 4, { SET(1, 2, 1), GET_MISS(3, 4) } },
	{ "lost update", false, 6, { SET(1, 2, 1), SET(3, 4, 2), GET(5, 6, 1) } },
	{ "read of deleted", false, 6, { SET(1, 2, 1), DELETE(3, 4), GET(5, 6, 1) } },
	{ "deleted comes back later", false, 0, { SET(1, 2, 1), DELETE(3, 4), GET_MISS(5, 6), GET(7, 8, 1) } },
	{ "two adds succeed", false, 0, { ADD(1, 5, 1), ADD(2, 6, 2) } },
	{ "add over a key that is there", false, 4, { SET(1, 2, 1), ADD(3, 4, 2) } },
	{ "add finds a key that is not there", false, 2, { ADD_EXISTS(1, 2), SET(3, 4, 1) } },
	{ "replace of nothing", false, 2, { REPLACE(1, 2, 1) } },
	{ "replace misses what is there", false, 4, { SET(1, 2, 1), REPLACE_MISS(3, 4) } },
	{ "cas on a stale version", false, 6, { SET(1, 2, 1), SET(3, 4, 2), CAS(5, 6, 1, 3) } },
	{ "two cas on one version", false, 0, { SET(1, 2, 1), CAS(3, 9, 1, 2), CAS(4, 8, 1, 3) } },
	{ "cas on nothing succeeds", false, 6, { SET(1, 2, 1), DELETE(3, 4), CAS(5, 6, 1, 2) } },
	{ "cas refused though nothing changed", false, 4, { SET(1, 2, 1), CAS_FAILS(3, 4, 1, OUTCOME_CHANGED) } },
	{ "cas misses what is there", false, 4, { SET(1, 2, 1), CAS_FAILS(3, 4, 1, OUTCOME_MISS) } },
	{ "a cas without effect", false, 6, { SET(1, 2, 1), CAS(3, 4, 1, 2), GET(5, 6, 1) } },
	{ "two deletes of one key succeed", false, 0, { SET(1, 2, 1), DELETE(3, 9), DELETE(4, 8) } },
	{ "delete of nothing", false, 2, { DELETE(1, 2), SET(3, 4, 1) } },
	{ "delete misses what is there", false, 4, { SET(1, 2, 1), DELETE_MISS(3, 4) } },
	{ "delete of a stale version", false, 6, { SET(1, 2, 1), SET(3, 4, 2), DELETE_VERSION(5, 6, 1) } },
	{ "delete refused though nothing changed", false, 4, { SET(1, 2, 1), DELETE_CHANGED(3, 4, 1) } },
	{ "version goes back", false, 4, { SET(1, 2, 2), SET(3, 4, 1) } },
	{ "version goes back over a delete", false, 6, { SET(1, 2, 2), DELETE(3, 4), ADD(5, 6, 1) } },
	{ "version used twice",
	  false,
	  0,
	  { SET(1, 2, 1), { .invoked = 3, .returned = 4, .kind = OPERATION_SET, .value = 2, .version = 10 } } },
	{ "right value, wrong version",
	  false,
	  0,
	  { SET(1, 2, 1), { .invoked = 3, .returned = 4, .kind = OPERATION_GET, .value = 1, .version = 11 } } },
	{ "an outcome set does not have",
	  false,
	  2,
	  { { .invoked = 1, .returned = 2, .kind = OPERATION_SET, .outcome = OUTCOME_MISS } } },
	{ "an outcome get does not have",
	  false,
	  4,
	  { SET(1, 2, 1), { .invoked = 3, .returned = 4, .kind = OPERATION_GET, .outcome = OUTCOME_EXISTS } } },
	{ "evicted, then back", true, 6, { SET(1, 2, 1), GET_MISS(3, 4), GET(5, 6, 1) } },
	{ "stale, evictions or not", true, 6, { SET(1, 2, 1), SET(3, 4, 2), GET(5, 6, 1) } },
	{ "old one back after eviction of the new",
	  true,
	  8,
	  { SET(1, 2, 1), SET(3, 4, 2), GET_MISS(5, 6), GET(7, 8, 1) } },
	{ "two adds succeed, then both are seen", true, 0, { ADD(1, 2, 1), ADD(3, 4, 2), GET(5, 6, 1) } },
};

static unsigned history_copy(const struct history *history, struct operation copy[OPERATIONS_MAX])
{
	unsigned count = 0;

	while (count < OPERATIONS_MAX && history->operations[count].returned != 0) {
		copy[count] = history->operations[count];
		count++;
	}
	return count;
}

START_TEST(accepts)
{
	struct operation operations[OPERATIONS_MAX];
	unsigned first, last, count = history_copy(&good[_i], operations);

	ck_assert_msg(checker_check(checker, operations, count, good[_i].may_evict, &first, &last) ==
	                      VERDICT_LINEARIZABLE,
	              "%s", good[_i].name);
}
END_TEST

START_TEST(rejects)
{
	struct operation operations[OPERATIONS_MAX];
	unsigned first = 99, last = 99, count = history_copy(&bad[_i], operations);

	ck_assert_msg(checker_check(checker, operations, count, bad[_i].may_evict, &first, &last) == VERDICT_VIOLATION,
	              "%s", bad[_i].name);
	ck_assert_msg(first <= last && last < count, "%s: names no operation", bad[_i].name);
	if (bad[_i].last_returned != 0)
		ck_assert_msg(operations[last].returned == bad[_i].last_returned,
		              "%s: blames the one that returned at %u", bad[_i].name,
		              (unsigned)operations[last].returned);
}
END_TEST

/* Histories that a true register made are accepted, at any overlap; and rejected once a result is tampered with. */
static uint64_t random_state;

static unsigned random_below(unsigned limit)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((random_state >> 33) % limit);
}

/* Each operation takes effect at instant 100 (i + 1) and lasts up to `spread` to either side. */
static void simulate(struct operation *operations, unsigned count, unsigned spread)
{
	uint64_t value = 0, version = 0;

	for (unsigned i = 0; i < count; i++) {
		struct operation *o = &operations[i];

		*o = (struct operation){ .invoked = 100 * (i + 1) + 10000 - random_below(spread),
			                 .returned = 100 * (i + 1) + 10000 + random_below(spread),
			                 .kind = (uint8_t)random_below(OPERATION_DELETE + 1) };
		if (o->kind == OPERATION_CAS || (o->kind == OPERATION_DELETE && random_below(2)))
			o->expected = random_below(2) ? version : 10 * (1 + random_below(i + 1));
		if (o->kind == OPERATION_ADD && value != 0)
			o->outcome = OUTCOME_EXISTS;
		else if (o->kind != OPERATION_SET && o->kind != OPERATION_ADD && value == 0)
			o->outcome = OUTCOME_MISS;
		else if (o->expected != 0 && o->expected != version)
			o->outcome = OUTCOME_CHANGED;
		else if (o->kind == OPERATION_CAS && o->expected == 0)
			o->outcome = OUTCOME_CHANGED;
		else if (o->kind == OPERATION_DELETE)
			value = 0;
		else if (o->kind != OPERATION_GET) {
			value = i + 1;
			version = 10 * value;
		}
		o->value = value;
		o->version = version;
	}
}

START_TEST(accepts_any_overlap)
{
	struct operation operations[HISTORY_MAX];
	unsigned first, last;

	random_state = (uint64_t)_i;
	for (unsigned spread = 1; spread <= 600; spread += 199) {
		simulate(operations, HISTORY_MAX, spread);
		ck_assert_int_eq(checker_check(checker, operations, HISTORY_MAX, false, &first, &last),
		                 VERDICT_LINEARIZABLE);
		ck_assert_int_eq(checker_check(checker, operations, HISTORY_MAX, true, &first, &last),
		                 VERDICT_LINEARIZABLE);
	}
}
END_TEST

/* Without overlap there is one order only, so any change of a read is a fault. */
START_TEST(rejects_any_tampering)
{
	struct operation operations[HISTORY_MAX];
	unsigned first, last, i = 0;

	random_state = (uint64_t)_i + 1000;
	simulate(operations, HISTORY_MAX, 50);
	for (unsigned tries = 0; operations[i].kind != OPERATION_GET || operations[i].outcome != OUTCOME_OK; tries++) {
		ck_assert_uint_lt(tries, 10000);
		i = random_below(HISTORY_MAX);
	}
	operations[i].value++;
	ck_assert_int_eq(checker_check(checker, operations, HISTORY_MAX, false, &first, &last), VERDICT_VIOLATION);
	ck_assert_uint_eq(last, i);
	/* The one before it says what should have been read, unless it says nothing of the state. */
	for (unsigned j = first + 1; j < i; j++)
		ck_assert(operations[j].outcome == OUTCOME_EXISTS || operations[j].outcome == OUTCOME_CHANGED);
}
END_TEST

START_TEST(refuses_too_long)
{
	static struct operation operations[HISTORY_MAX + 1];
	unsigned first, last;

	ck_assert_int_eq(checker_check(checker, operations, HISTORY_MAX + 1, false, &first, &last), VERDICT_UNDECIDED);
}
END_TEST

/*
 * 60 misses that all overlap, in any order, and a read that none explains: more ways than can be tried. It must say so.
 */
START_TEST(gives_up_honestly)
{
	static struct operation operations[61];
	unsigned first, last;

	for (unsigned i = 0; i < 60; i++)
		operations[i] = (struct operation)GET_MISS(1, 100);
	operations[60] = (struct operation)GET(101, 102, 1000);
	ck_assert_int_eq(checker_check(checker, operations, 61, false, &first, &last), VERDICT_UNDECIDED);
}
END_TEST

START_TEST(prints_up_to_the_fault)
{
	struct operation operations[] = { SET(1, 2, 1), SET(3, 4, 2), GET(5, 6, 1), SET(5, 9, 3), GET(7, 8, 2) };
	char text[2048] = "";
	FILE *file = fmemopen(text, sizeof text, "w");
	unsigned first, last;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(checker_check(checker, operations, 5, false, &first, &last), VERDICT_VIOLATION);
	ck_assert_uint_eq(first, 1);
	checker_print(file, operations, 5, first, last);
	fclose(file);
	ck_assert_ptr_nonnull(strstr(text, "set value 2 -> ok version 14\n"));
	ck_assert_ptr_null(strstr(text, "set value 1 "));
	ck_assert_ptr_nonnull(strstr(text, "get -> ok value 1 version a   <- cannot be explained"));
	ck_assert_ptr_nonnull(strstr(text, "set value 3 -> ok version 1e   (returned later)"));
	ck_assert_ptr_null(strstr(text, "get -> ok value 2"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("checker");
	TCase *tcase = tcase_create("histories");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, accepts, 0, sizeof good / sizeof good[0]);
	tcase_add_loop_test(tcase, rejects, 0, sizeof bad / sizeof bad[0]);
	tcase_add_loop_test(tcase, accepts_any_overlap, 0, 50);
	tcase_add_loop_test(tcase, rejects_any_tampering, 0, 50);
	tcase_add_test(tcase, refuses_too_long);
	tcase_add_test(tcase, gives_up_honestly);
	tcase_add_test(tcase, prints_up_to_the_fault);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
