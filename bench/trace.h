/* SPDX-License-Identifier: MIT */
/*
 * Traces of real caches, as requests. Two formats are read, and told apart by what they begin with:
 *
 *	lines of Twitter's cache traces: time,key,key size,value size,client,operation,ttl (github.com/twitter/cache-trace)
 *	records of libCacheSim's "oracleGeneral", 24 bytes, little endian, packed: time 32, key 64, size 32, next use 64
 */
#ifndef LARDER_BENCH_TRACE_H
#define LARDER_BENCH_TRACE_H

#include "bench/requests.h"

#define TRACE_BYTES_MAX (128u << 10) /* larger objects are cut to this */

struct trace_facts {
	uint64_t distinct_bytes; /* of all keys together, each at its largest */
	uint64_t cut;            /* requests of objects that were larger */
};

/* Reads up to max requests. Return: 0 or a negative value; error then says what is wrong, and where. */
int trace_read(const char *path, size_t max, struct requests *ret_requests, struct trace_facts *ret_facts,
               char error[256]);

#endif
