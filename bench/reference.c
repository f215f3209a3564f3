/* SPDX-License-Identifier: MIT */
/*
 * One node for each key of the requests, in doubly linked queues whose links are key numbers. The policies differ in where a new object
 * goes, what a use does, and who leaves:
 *
 *	LRU      a use moves the object to the head; the tail leaves
 *	CLOCK    a use sets a bit; at the tail, who has it goes to the head without it
 *	S3-FIFO  Yang et al., SOSP 2023: small queue of a tenth, main queue, ghosts as many as main has objects
 *	Belady   whoever is used again the latest leaves (sizes are not weighed, so it is a bound for equal sizes only)
 */
#include "bench/reference.h"

#include <errno.h>
#include <stdlib.h>

#define NOBODY UINT32_MAX
#define NEVER UINT64_MAX
#define SMALL_SHARE 10
#define USES_MAX 3

enum queue_number { QUEUE_SMALL, QUEUE_MAIN, QUEUE_GHOST, QUEUES, QUEUE_NONE };

struct node {
	uint32_t towards_head, towards_tail;
	uint32_t bytes;
	uint32_t expires_s; /* 0: never */
	uint8_t queue, uses;
	uint64_t next_use; /* Belady: number of the request, NEVER: none */
};

struct queue {
	uint32_t head, tail, count;
	uint64_t bytes;
};

struct heap_entry {
	uint64_t next_use;
	uint32_t key;
};

struct simulation {
	const struct requests *requests;
	enum reference_policy policy;
	uint64_t capacity;
	struct node *nodes;
	struct queue queues[QUEUES];
	/* Belady: the number of the next request for the same key; and a heap, latest first, in which old entries are left. */
	uint64_t *next_use;
	struct heap_entry *heap;
	size_t heap_count, heap_room;
};

/* ---- queues -------------------------------------------------------------------------------------------------------- */

static void push_head(struct simulation *simulation, enum queue_number number, uint32_t key)
{
	struct queue *queue = &simulation->queues[number];
	struct node *node = &simulation->nodes[key];

	node->queue = (uint8_t)number;
	node->towards_head = NOBODY;
	node->towards_tail = queue->head;
	if (queue->head != NOBODY)
		simulation->nodes[queue->head].towards_head = key;
	else
		queue->tail = key;
	queue->head = key;
	queue->count++;
	queue->bytes += node->bytes;
}

static void take_out(struct simulation *simulation, uint32_t key)
{
	struct node *node = &simulation->nodes[key];
	struct queue *queue = &simulation->queues[node->queue];

	if (node->towards_head != NOBODY)
		simulation->nodes[node->towards_head].towards_tail = node->towards_tail;
	else
		queue->head = node->towards_tail;
	if (node->towards_tail != NOBODY)
		simulation->nodes[node->towards_tail].towards_head = node->towards_head;
	else
		queue->tail = node->towards_head;
	queue->count--;
	queue->bytes -= node->bytes;
	node->queue = QUEUE_NONE;
}

static void move_to_head(struct simulation *simulation, enum queue_number number, uint32_t key)
{
	take_out(simulation, key);
	push_head(simulation, number, key);
}

/* ---- Belady's heap ------------------------------------------------------------------------------------------------- */

static int heap_push(struct simulation *simulation, uint32_t key, uint64_t next_use)
{
	size_t place = simulation->heap_count;
	struct heap_entry *heap;

	if (place == simulation->heap_room) {
		size_t room = simulation->heap_room ? simulation->heap_room * 2 : 1024;

		heap = realloc(simulation->heap, room * sizeof *heap);
		if (!heap)
			return -ENOMEM;
		simulation->heap = heap;
		simulation->heap_room = room;
	}
	heap = simulation->heap;
	simulation->heap_count++;
	for (; place > 0 && heap[(place - 1) / 2].next_use < next_use; place = (place - 1) / 2)
		heap[place] = heap[(place - 1) / 2];
	heap[place] = (struct heap_entry){ next_use, key };
	return 0;
}

static struct heap_entry heap_pop(struct simulation *simulation)
{
	struct heap_entry *heap = simulation->heap;
	struct heap_entry top = heap[0], last = heap[--simulation->heap_count];
	size_t place = 0;

	for (;;) {
		size_t child = place * 2 + 1;

		if (child + 1 < simulation->heap_count && heap[child + 1].next_use > heap[child].next_use)
			child++;
		if (child >= simulation->heap_count || heap[child].next_use <= last.next_use)
			break;
		heap[place] = heap[child];
		place = child;
	}
	heap[place] = last;
	return top;
}

/* ---- who leaves ---------------------------------------------------------------------------------------------------- */

static void evict_from_small(struct simulation *simulation)
{
	struct queue *ghosts = &simulation->queues[QUEUE_GHOST];
	uint32_t key = simulation->queues[QUEUE_SMALL].tail;
	struct node *node = &simulation->nodes[key];

	if (node->uses > 1) {
		node->uses = 0;
		move_to_head(simulation, QUEUE_MAIN, key);
		return;
	}
	move_to_head(simulation, QUEUE_GHOST, key);
	while (ghosts->count > simulation->queues[QUEUE_MAIN].count && ghosts->count > 1)
		take_out(simulation, ghosts->tail);
}

static void evict_from_main(struct simulation *simulation)
{
	uint32_t key = simulation->queues[QUEUE_MAIN].tail;
	struct node *node = &simulation->nodes[key];

	if (node->uses == 0 || simulation->policy == REFERENCE_LRU) {
		take_out(simulation, key);
		return;
	}
	node->uses--;
	move_to_head(simulation, QUEUE_MAIN, key);
}

static void evict_latest(struct simulation *simulation)
{
	for (;;) {
		struct heap_entry entry = heap_pop(simulation);
		const struct node *node = &simulation->nodes[entry.key];

		if (node->queue == QUEUE_MAIN && node->next_use == entry.next_use) {
			take_out(simulation, entry.key);
			return;
		}
	}
}

static void make_room(struct simulation *simulation)
{
	const struct queue *small = &simulation->queues[QUEUE_SMALL], *main = &simulation->queues[QUEUE_MAIN];

	while (small->bytes + main->bytes > simulation->capacity) {
		if (simulation->policy == REFERENCE_BELADY)
			evict_latest(simulation);
		else if (small->count && (small->bytes * SMALL_SHARE > simulation->capacity || main->count == 0))
			evict_from_small(simulation);
		else
			evict_from_main(simulation);
	}
}

/* ---- requests ------------------------------------------------------------------------------------------------------ */

static bool is_there(struct simulation *simulation, const struct request *request)
{
	const struct node *node = &simulation->nodes[request->key];

	if (node->queue != QUEUE_SMALL && node->queue != QUEUE_MAIN)
		return false;
	if (node->expires_s == 0 || node->expires_s > request->time_s)
		return true;
	take_out(simulation, request->key);
	return false;
}

static int use(struct simulation *simulation, const struct request *request, size_t number)
{
	struct node *node = &simulation->nodes[request->key];

	switch (simulation->policy) {
	case REFERENCE_LRU:
		move_to_head(simulation, QUEUE_MAIN, request->key);
		return 0;
	case REFERENCE_BELADY:
		node->next_use = simulation->next_use[number];
		return heap_push(simulation, request->key, node->next_use);
	case REFERENCE_CLOCK:
		node->uses = 1;
		return 0;
	default:
		node->uses += node->uses < USES_MAX;
		return 0;
	}
}

static int store(struct simulation *simulation, const struct request *request, size_t number, uint32_t overhead)
{
	struct node *node = &simulation->nodes[request->key];
	bool there = is_there(simulation, request);
	enum queue_number queue = QUEUE_MAIN;

	if (simulation->policy == REFERENCE_S3FIFO && !there && node->queue != QUEUE_GHOST)
		queue = QUEUE_SMALL;
	if (!there) {
		if (node->queue == QUEUE_GHOST)
			take_out(simulation, request->key);
		node->bytes = request->bytes + overhead;
		node->uses = 0;
		node->next_use = NEVER;
		push_head(simulation, queue, request->key);
	} else {
		simulation->queues[node->queue].bytes += (uint64_t)request->bytes + overhead - node->bytes;
		node->bytes = request->bytes + overhead;
	}
	node->expires_s = request->ttl_s ? request->time_s + request->ttl_s : 0;
	if (there || simulation->policy == REFERENCE_BELADY) {
		int result = use(simulation, request, number);

		if (result)
			return result;
	}
	make_room(simulation);
	return 0;
}

static int handle(struct simulation *simulation, size_t number, uint32_t overhead, struct reference_result *result)
{
	const struct request *request = &simulation->requests->request[number];

	switch (request->operation) {
	case REQUEST_DELETE:
		if (is_there(simulation, request))
			take_out(simulation, request->key);
		return 0;
	case REQUEST_SET:
		return store(simulation, request, number, overhead);
	case REQUEST_GET:
		break;
	}
	result->gets++;
	if (is_there(simulation, request))
		return use(simulation, request, number);
	result->misses++;
	return store(simulation, request, number, overhead);
}

/* ---- a run --------------------------------------------------------------------------------------------------------- */

static int look_ahead(struct simulation *simulation)
{
	const struct requests *requests = simulation->requests;
	uint64_t *next = malloc(requests->keys * sizeof *next);

	simulation->next_use = malloc(requests->count * sizeof *simulation->next_use);
	if (!next || !simulation->next_use) {
		free(next);
		return -ENOMEM;
	}
	for (uint32_t key = 0; key < requests->keys; key++)
		next[key] = NEVER;
	for (size_t i = requests->count; i-- > 0;) {
		simulation->next_use[i] = next[requests->request[i].key];
		next[requests->request[i].key] = i;
	}
	free(next);
	return 0;
}

const char *reference_name(enum reference_policy policy)
{
	static const char *const names[] = { "lru", "clock", "s3-fifo", "belady" };

	return names[policy];
}

int reference_run(enum reference_policy policy, const struct requests *requests, uint64_t capacity, uint32_t overhead,
                  struct reference_result *ret_result)
{
	struct simulation simulation = { .requests = requests, .policy = policy, .capacity = capacity };
	int result = 0;

	*ret_result = (struct reference_result){ 0 };
	for (int queue = 0; queue < QUEUES; queue++)
		simulation.queues[queue].head = simulation.queues[queue].tail = NOBODY;
	simulation.nodes = calloc(requests->keys, sizeof *simulation.nodes);
	if (!simulation.nodes)
		return -ENOMEM;
	for (uint32_t key = 0; key < requests->keys; key++)
		simulation.nodes[key].queue = QUEUE_NONE;
	if (policy == REFERENCE_BELADY)
		result = look_ahead(&simulation);
	for (size_t i = 0; result == 0 && i < requests->count; i++)
		result = handle(&simulation, i, overhead, ret_result);
	free(simulation.nodes);
	free(simulation.next_use);
	free(simulation.heap);
	return result;
}
