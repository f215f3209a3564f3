/* SPDX-License-Identifier: MIT */
#include "daemon/tenant.h"

#include "daemon/log.h"
#include "tests/unit/daemon/house.h"

#define USER(number, guaranteed, limited) \
	{ \
		.kind = TENANT_USER, .id = number, .guarantee = guaranteed, .limit = limited \
	}

static struct survey survey;

static struct survey_share share_of(uint32_t open)
{
	return (struct survey_share){ .open = open, .data = { open, 0 } };
}

static void start(struct world *world, struct tenants *tenants)
{
	log_set_level(LOG_ERROR);
	world_start(world, 16 * MIB); /* segments of 128 KiB */
	tenants_init(tenants, world->arena);
	survey = (struct survey){ 0 };
}

static struct tenant *shared(const struct world *world, uint32_t number)
{
	return &world->arena->header->tenants[number];
}

START_TEST(test_who_has_a_number_keeps_it)
{
	struct config_quotas quotas = { 2, { USER(7, MIB, 0), { .kind = TENANT_GROUP, .id = 7, .limit = MIB } } };
	struct config_quotas others = { 2, { USER(9, MIB, 0), { .kind = TENANT_GROUP, .id = 7, .limit = 2 * MIB } } };
	struct world world;
	struct tenants tenants, next;
	uint32_t user, group;

	start(&world, &tenants);
	ck_assert_uint_eq(tenants_number_of(&tenants, NULL), 0);
	tenants_configure(&tenants, &quotas);
	user = tenants_number_of(&tenants, &quotas.quota[0]);
	group = tenants_number_of(&tenants, &quotas.quota[1]);
	ck_assert(user != 0 && group != 0 && user != group);
	ck_assert_uint_eq(load_relaxed(&shared(&world, user)->guarantee), 8);
	ck_assert_uint_eq(load_relaxed(&shared(&world, group)->limit), 8);
	/* The next keeper, with other quotas. Of user 7 there is still data, so his number is not for user 9. */
	store_relaxed(&shared(&world, user)->used, 3);
	tenants_init(&next, world.arena);
	tenants_configure(&next, &others);
	ck_assert_uint_eq(tenants_number_of(&next, &others.quota[1]), group);
	ck_assert_uint_ne(tenants_number_of(&next, &others.quota[0]), user);
	ck_assert_uint_eq(load_relaxed(&shared(&world, group)->limit), 16);
	ck_assert_uint_eq(load_relaxed(&shared(&world, user)->guarantee), 0);
	ck_assert_uint_eq(load_relaxed(&shared(&world, user)->kind), TENANT_NOBODY);
	world_stop(&world);
}
END_TEST

START_TEST(test_whoever_is_furthest_above_its_guarantee_gives)
{
	struct config_quotas quotas = { 2, { USER(1, 2 * MIB, 0), USER(2, MIB, 0) } };
	struct world world;
	struct tenants tenants;

	start(&world, &tenants);
	tenants_configure(&tenants, &quotas);
	ck_assert_uint_eq(tenants_victim(&tenants, &survey), TENANT_NONE);
	survey.shares[1] = share_of(20); /* 4 above */
	survey.shares[2] = share_of(13); /* 5 above */
	ck_assert_uint_eq(tenants_victim(&tenants, &survey), 2);
	survey.shares[0] = share_of(6);
	ck_assert_uint_eq(tenants_victim(&tenants, &survey), 0);
	survey.shares[0] = share_of(1);
	survey.shares[1] = share_of(16); /* at it */
	survey.shares[2] = share_of(8);
	ck_assert_uint_eq(tenants_victim(&tenants, &survey), 0);
	/* Of what is condemned already nothing more can be had. */
	survey.shares[0] = (struct survey_share){ .open = 0, .condemned = 1 };
	ck_assert_uint_ne(tenants_victim(&tenants, &survey), 0);
	survey.shares[0] = (struct survey_share){ .open = 1, .filling = { .count = 1 } };
	ck_assert_uint_eq(tenants_victim(&tenants, &survey), 0);
	world_stop(&world);
}
END_TEST

/* With one segment there is no way to have the next one ready. */
START_TEST(test_limit_of_one_segment)
{
	struct config_quotas quotas = { 1, { USER(1, 0, 1) } };
	struct world world;
	struct tenants tenants;

	start(&world, &tenants);
	tenants_configure(&tenants, &quotas);
	survey.shares[1] = (struct survey_share){ .open = 1 };
	ck_assert(!tenants_overdrawn(&tenants, &survey, 1));
	survey.shares[1].data[POOL_PROBATION] = 1;
	ck_assert(tenants_overdrawn(&tenants, &survey, 1));
	world_stop(&world);
}
END_TEST

START_TEST(test_limits_and_room)
{
	struct config_quotas quotas = { 1, { USER(1, 0, MIB) } };
	struct world world;
	struct tenants tenants;

	start(&world, &tenants);
	tenants_configure(&tenants, &quotas);
	survey.shares[1] = share_of(7);
	survey.shares[1].condemned = 1;
	ck_assert(!tenants_overdrawn(&tenants, &survey, 1));
	tenants_tell(&tenants, &survey);
	ck_assert_uint_eq(load_relaxed(&shared(&world, 1)->used), 8);
	ck_assert_uint_eq(load_relaxed(&shared(&world, 1)->room), 0);
	ck_assert_uint_eq(load_relaxed(&shared(&world, 0)->room), ROOM_UNLIMITED);
	survey.shares[1] = share_of(8);
	ck_assert(tenants_overdrawn(&tenants, &survey, 1));
	survey.shares[1] = share_of(5);
	tenants_tell(&tenants, &survey);
	ck_assert_uint_eq(load_relaxed(&shared(&world, 1)->room), 3);
	survey.shares[0] = share_of(32);
	ck_assert(!tenants_overdrawn(&tenants, &survey, 0));
	world_stop(&world);
}
END_TEST

/* What a hostile process writes into the table: numbers that are none, the same user many times. */
START_TEST(test_scribbles)
{
	struct config_quotas quotas = { 2, { USER(1, MIB, 0), USER(2, 0, MIB) } };
	struct world world;
	struct tenants tenants;

	start(&world, &tenants);
	for (uint32_t number = 0; number < TENANTS; number++) {
		store_relaxed(&shared(&world, number)->kind, number % 3 ? 77 : TENANT_USER);
		store_relaxed(&shared(&world, number)->id, 5);
		store_relaxed(&shared(&world, number)->used, UINT32_MAX);
	}
	tenants_init(&tenants, world.arena);
	tenants_configure(&tenants, &quotas);
	for (uint64_t i = 0; i < quotas.count; i++) {
		uint32_t number = tenants_number_of(&tenants, &quotas.quota[i]);

		ck_assert(number > 0 && number < TENANTS);
		ck_assert_uint_eq(load_relaxed(&shared(&world, number)->id), i + 1);
	}
	world_stop(&world);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("tenant");

	tcase_add_test(tests, test_who_has_a_number_keeps_it);
	tcase_add_test(tests, test_whoever_is_furthest_above_its_guarantee_gives);
	tcase_add_test(tests, test_limit_of_one_segment);
	tcase_add_test(tests, test_limits_and_room);
	tcase_add_test(tests, test_scribbles);
	return suite_run("tenant", tests);
}
