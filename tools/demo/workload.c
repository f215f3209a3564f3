/* SPDX-License-Identifier: MIT */
#include "tools/demo/workload.h"

#include <math.h>

#include "tools/demo/random.h"
#include "tools/demo/value.h"

#define THETA 0.99
#define STICKY_PERCENT 75

#define SESSION_MEDIAN 700.0
#define SESSION_SIGMA 0.9
#define FRAGMENT_MEDIAN 1500.0
#define FRAGMENT_SIGMA 0.8

#define PI 3.14159265358979323846

static uint32_t common_factor(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* The constants of Gray et al., "Quickly generating billion-record synthetic databases" (SIGMOD 1994). */
static struct popularity popularity_make(uint32_t count)
{
	struct popularity popularity = { .count = count, .theta = THETA, .alpha = 1 / (1 - THETA) };
	double zeta_two = 1 + pow(0.5, THETA);

	for (uint32_t i = 1; i <= count; i++)
		popularity.zeta += pow(i, -THETA);
	popularity.eta = (1 - pow(2.0 / count, 1 - THETA)) / (1 - zeta_two / popularity.zeta);
	popularity.step = (uint32_t)(count * 0.6180339887) | 1;
	while (common_factor(popularity.step, count) != 1)
		popularity.step += 2;
	return popularity;
}

struct workload workload_make(uint32_t users, uint32_t workers)
{
	return (struct workload){
		.users = popularity_make(users),
		.pages = popularity_make(WORKLOAD_PAGES),
		.workers = workers,
	};
}

uint32_t popularity_draw(const struct popularity *popularity, uint64_t *random)
{
	double unit = random_unit(random_next(random)), scaled = unit * popularity->zeta;
	uint32_t rank;

	if (scaled < 1)
		rank = 0;
	else if (scaled < 1 + pow(0.5, popularity->theta))
		rank = 1;
	else
		rank = (uint32_t)(popularity->count * pow(popularity->eta * (unit - 1) + 1, popularity->alpha));
	if (rank >= popularity->count)
		rank = popularity->count - 1;
	return (uint32_t)((uint64_t)rank * popularity->step % popularity->count);
}

uint32_t workload_user(const struct workload *workload, uint32_t worker, uint64_t *random)
{
	uint32_t user = popularity_draw(&workload->users, random);

	if (!random_percent(random, STICKY_PERCENT))
		return user;
	user += worker - user % workload->workers;
	return user < workload->users.count ? user : user - workload->workers;
}

uint32_t workload_fragment(uint32_t page, uint32_t place)
{
	/* The first two, head and foot, are on every page. */
	return place < 2 ? place : random_mix(((uint64_t)page << 8) + place) % WORKLOAD_FRAGMENTS;
}

/* The same thing always has the same size: its number is the source of chance. */
static size_t log_normal(uint64_t seed, double median, double sigma)
{
	double radius = sqrt(-2 * log(1 - random_unit(random_mix(seed))));
	double normal = radius * cos(2 * PI * random_unit(random_mix(~seed)));
	double size = median * exp(sigma * normal);

	return size < VALUE_BYTES_MIN ? VALUE_BYTES_MIN : size > VALUE_BYTES_MAX ? VALUE_BYTES_MAX : (size_t)size;
}

size_t workload_session_size(uint32_t user)
{
	return log_normal(UINT64_C(0x5e55) << 32 | user, SESSION_MEDIAN, SESSION_SIGMA);
}

size_t workload_fragment_size(uint32_t fragment)
{
	return log_normal(UINT64_C(0xf4a6) << 32 | fragment, FRAGMENT_MEDIAN, FRAGMENT_SIGMA);
}

uint64_t workload_session_life_ms(uint32_t user)
{
	uint64_t chance = random_mix(user) % 100;

	if (chance < 5)
		return 2000 + random_mix(user) % 6000; /* visits that end at once */
	if (chance < 65)
		return UINT64_C(30) * 60 * 1000;
	if (chance < 90)
		return UINT64_C(4) * 3600 * 1000;
	return WORKLOAD_SESSION_LIFE_MAX_MS;
}

uint64_t workload_fragment_life_ms(uint32_t fragment)
{
	static const uint64_t lives[] = { 5000, 30000, 60000, 300000, 600000 };

	return lives[random_mix(fragment) % (sizeof lives / sizeof lives[0])];
}

uint64_t workload_rate_life_ms(uint32_t user)
{
	return 1000 + user % 4 * 1000;
}
