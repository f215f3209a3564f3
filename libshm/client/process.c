/* SPDX-License-Identifier: MIT */
#include "client/process.h"

#include <errno.h>
#include <sys/mman.h>

/*
 * The list of all handles of this process. It is wiped at fork too, and never unmapped: a thread that ends must be able
 * to look into it after every handle was closed. All zero bits are an unlocked mutex and an empty list.
 */
struct registry {
	pthread_mutex_t mutex;
	struct process *first;
};

static struct registry *registry;
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;

/* Return: the memory, or NULL with the reason in *ret_result. */
static void *map_wiped(size_t bytes, int *ret_result)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*ret_result = 0;
	if (memory == MAP_FAILED) {
		*ret_result = -errno;
		return NULL;
	}
	if (madvise(memory, bytes, MADV_WIPEONFORK) != 0) {
		*ret_result = -errno;
		munmap(memory, bytes);
		return NULL;
	}
	return memory;
}

static void registry_create(void)
{
	int result;

	registry = map_wiped(sizeof *registry, &result);
}

int process_create(struct process **ret_process)
{
	int result;

	pthread_once(&registry_once, registry_create);
	if (!registry)
		return -ENOMEM;
	*ret_process = map_wiped(sizeof **ret_process, &result);
	return result;
}

void process_destroy(struct process *process)
{
	munmap(process, sizeof *process);
}

void process_lock(void)
{
	pthread_mutex_lock(&registry->mutex);
}

void process_unlock(void)
{
	pthread_mutex_unlock(&registry->mutex);
}

void process_enlist(struct process *process)
{
	process_lock();
	process->next = registry->first;
	registry->first = process;
	process_unlock();
}

void process_delist(struct process *process)
{
	struct process **link;

	process_lock();
	for (link = &registry->first; *link; link = &(*link)->next) {
		if (*link == process) {
			*link = process->next;
			break;
		}
	}
	process_unlock();
}

struct process *process_of(const struct thread_state *state)
{
	for (struct process *process = registry->first; process; process = process->next)
		if ((uintptr_t)state - (uintptr_t)process < sizeof *process)
			return process;
	return NULL;
}
