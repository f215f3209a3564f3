/* SPDX-License-Identifier: MIT */
/*
 * Reading a trace: one request per line, in the form in which Twitter published traces of its caches
 * (github.com/twitter/cache-trace):
 *
 *	time,key,key_size,value_size,client,operation,ttl
 *
 * time and ttl in seconds (ttl 0: none), sizes in bytes, operation one of get gets set add replace cas append prepend delete
 * incr decr. The key is taken as it is, commas included, whatever key_size says; client is not used.
 */
#ifndef LARDER_DEMO_TRACE_H
#define LARDER_DEMO_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum trace_operation {
	TRACE_GET,
	TRACE_GETS,
	TRACE_SET,
	TRACE_ADD,
	TRACE_REPLACE,
	TRACE_CAS,
	TRACE_APPEND,
	TRACE_PREPEND,
	TRACE_DELETE,
	TRACE_INCR,
	TRACE_DECR,
	TRACE_OPERATIONS
};

struct trace_record {
	uint64_t time;
	const char *key; /* valid until the next record is read */
	size_t key_size;
	uint64_t value_size;
	uint64_t ttl;
	enum trace_operation operation;
};

struct trace {
	FILE *file;
	const char *path;
	uint64_t line_number;
	char *line;
	size_t line_capacity;
	char error[512]; /* "file:line: what is wrong" */
};

#define TRACE_END 1

/* Return: 0; -errno, with a sentence in trace->error. */
int trace_open(struct trace *trace, const char *path);
void trace_close(struct trace *trace);

/* Return: 0; TRACE_END; -EINVAL: a malformed line; -EIO; the last two with a sentence in trace->error. */
int trace_next(struct trace *trace, struct trace_record *ret_record);

#endif
