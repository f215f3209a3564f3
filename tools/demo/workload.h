/* SPDX-License-Identifier: MIT */
/*
 * The traffic of a web shop: who comes, what is asked for, how large things are and how long they live. The figures
 * follow published studies of production caches:
 *
 *   Popularity	Zipf with theta 0.99 over the users, the pages and (through them) the fragments: the constant of YCSB (Cooper
 *		et al., SoCC 2010). The popular ones are scattered over the key space.
 *   Sizes	Log-normal, median 700 bytes for a session and 1500 for a page fragment, 256 bytes to 16 KiB. Yang, Yue and
 *		Rashmi (OSDI 2020) report a median over Twitter's clusters of 230 bytes per object; sessions as JSON are
 *		rather larger.
 *   Reads	About 90 % of the calls. Atikoglu et al. (SIGMETRICS 2012) report 30 reads per write in Facebook's general
 *		pool; at Twitter a third of the clusters write more than 30 %.
 *   Life	Seconds (rate limits), minutes (fragments), half an hour to hours (sessions): in the range reported by the
 *		Twitter study, where TTLs reach from minutes to days. Some sessions live seconds only, so that a
 *		demonstration of seconds sees them expire.
 */
#ifndef LARDER_DEMO_WORKLOAD_H
#define LARDER_DEMO_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

#define WORKLOAD_PAGES 2000
#define WORKLOAD_FRAGMENTS 5000
#define WORKLOAD_FRAGMENTS_PER_PAGE 8
#define WORKLOAD_SESSION_LIFE_MAX_MS (UINT64_C(24) * 3600 * 1000)

/* A Zipf distribution over [0, count), scattered. */
struct popularity {
	uint32_t count;
	uint32_t step; /* has no factor in common with count, so rank * step % count is a permutation */
	double theta, alpha, zeta, eta;
};

struct workload {
	struct popularity users;
	struct popularity pages;
	uint32_t workers;
};

struct workload workload_make(uint32_t users, uint32_t workers);

uint32_t popularity_draw(const struct popularity *popularity, uint64_t *random);

/* The user of the next request. Mostly (sticky sessions) one of the worker's own: user % workers == worker. */
uint32_t workload_user(const struct workload *workload, uint32_t worker, uint64_t *random);

/* One of the fragments that a page is made of. */
uint32_t workload_fragment(uint32_t page, uint32_t place);

size_t workload_session_size(uint32_t user);
size_t workload_fragment_size(uint32_t fragment);
uint64_t workload_session_life_ms(uint32_t user);
uint64_t workload_fragment_life_ms(uint32_t fragment);
uint64_t workload_rate_life_ms(uint32_t user);

#endif
