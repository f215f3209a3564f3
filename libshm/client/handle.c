/* SPDX-License-Identifier: MIT */
/*
 * A handle outlives forks. Its attachment does not: control page and connection tell larderd which process reads and
 * writes, so a child must have its own. Nothing can be done at fork itself, for a library should not hook it, so the
 * child finds out at its first call (process.h) and then
 *   - closes its copy of the parent's socket, if it still is that: programs that turn into daemons close everything, and
 *     the number may by now be a file of theirs;
 *   - leaves the arena where the parent mapped it, for views that the parent took are read there;
 *   - attaches anew. The control page was not inherited at all.
 *
 * It outlives larderds, too. When the supervisor dies, however, the kernel marks a word in the arena, at which every call
 * looks, beside the epoch. From then on calls take the slow way, and one thread at a time finds out what happened: while the
 * connection stands the arena is still looked after, or will be again; when it does not, the thread tries to attach, with
 * growing pauses, until some larderd answers. Meanwhile the old arena serves. Then every thread changes over at its next
 * call, and the old arena is unmapped when the last of them has, and the last view into it was released.
 */
#include "client/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/wire.h"
#include "cache/dead.h"
#include "client/channel.h"
#include "client/guard.h"
#include "client/options.h"
#include "client/thread.h"
#include "epoch/grace.h"
#include "larder.h"

#define TIMEOUT_MS_DEFAULT 1000

#ifdef LARDER_FORCE_FENCED
#define FORCE_FENCED true
#else
#define FORCE_FENCED false
#endif

/* ---- attaching ----------------------------------------------------------------------------------------------------- */

#define RETRY_MS 5 /* the pause after the first try to attach again; doubled after each, up to */
#define RETRY_MS_MAX 200
#define LOOK_MS 20   /* between two looks at a connection that outlives a larderd */
#define TIME_SHARE 4 /* a try that took long is followed by a pause so many times as long */

/* Room for one more: what an earlier one left, or new. */
static struct attachment *make_room(struct larder *cache)
{
	struct attachment *attachment = cache->attachments;

	while (attachment && load_relaxed(&attachment->token) != 0)
		attachment = attachment->next;
	if (attachment)
		return attachment;
	attachment = calloc(1, sizeof *attachment);
	if (!attachment)
		return NULL;
	attachment->next = cache->attachments;
	cache->attachments = attachment;
	return attachment;
}

/* From here on everything is an ancestor's. */
static void inherit(struct larder *cache)
{
	struct attachment *last = cache->attachments;

	if (!load_relaxed(&cache->current))
		return;
	for (struct attachment *one = last; one; one = one->next) {
		attachment_close_channel(one, false);
		last = one;
	}
	last->next = cache->inherited;
	cache->inherited = cache->attachments;
	cache->attachments = NULL;
	store_relaxed(&cache->current, NULL);
}

/* Call it with process->attaching held. */
static int attach(struct larder *cache, uint64_t deadline_ms, struct fault *fault)
{
	static atomic_u64 last_token;
	struct process *process = cache->process;
	struct attachment *attachment;
	uint64_t token;
	bool first;
	int result;

	first = load_relaxed(&process->token) == 0;
	if (first)
		inherit(cache);
	process_lock();
	attachment = make_room(cache);
	process_unlock();
	if (!attachment)
		return fault_set(fault, -ENOMEM, "out of memory");
	result = attachment_begin(attachment, &cache->source, deadline_ms, fault);
	if (result != 0)
		return result;
	token = fetch_add_relaxed(&last_token, 1) + 1;
	if (first) {
		process->handle = cache;
		process_enlist(process);
	}
	process_lock();
	store_relaxed(&attachment->token, token);
	store_relaxed(&cache->current, attachment);
	store_relaxed(&process->token, token);
	process_unlock();
	return 0;
}

struct attachment *handle_find(struct larder *cache, uint64_t token)
{
	struct attachment *attachment = load_relaxed(&cache->process->token) ? cache->attachments : NULL;

	while (attachment && load_relaxed(&attachment->token) != token)
		attachment = attachment->next;
	return attachment;
}

void handle_tidy(struct larder *cache, struct attachment *attachment)
{
	if (attachment != load_relaxed(&cache->current) && attachment->threads == 0 &&
	    grace_idle(&attachment->cache.control))
		attachment_unmap(attachment);
}

/* ---- attaching again ----------------------------------------------------------------------------------------------- */

/*
 * Whether larderd does not know us any more. A word of the arena says that something happened to it, the connection
 * what: it stays where the service manager kept it, or another binary took over. Without one only a new one can tell.
 */
static bool gone(const struct attachment *attachment)
{
	return load_relaxed(&attachment->lost) || !attachment_connected(attachment) || attachment_hung_up(attachment);
}

/* Half of the pause is left to chance, so that not all come at the same moment. */
static void put_off(struct attachment *attachment, uint64_t began_ms)
{
	uint64_t now_ms = monotonic_ms(), pause_ms = attachment->pause_ms;

	pause_ms = pause_ms == 0 ? RETRY_MS : pause_ms * 2 < RETRY_MS_MAX ? pause_ms * 2 : RETRY_MS_MAX;
	attachment->pause_ms = pause_ms;
	pause_ms = pause_ms / 2 + monotonic_ns() % (pause_ms / 2 + 1);
	if (pause_ms < (now_ms - began_ms) * TIME_SHARE)
		pause_ms = (now_ms - began_ms) * TIME_SHARE;
	store_relaxed(&attachment->retry_ms, now_ms + pause_ms);
}

/* Lets go of the attachment that was current. */
static void leave(struct larder *cache, struct attachment *old)
{
	struct arena_header *header = old->cache.arena.header;

	if (old->cache.arena.writable && old->cache.arena.id != load_relaxed(&cache->current)->cache.arena.id)
		store_relaxed(&header->superseded, 1);
	pthread_mutex_lock(&old->exchange);
	store_relaxed(&old->lost, 1);
	attachment_close_channel(old, true);
	pthread_mutex_unlock(&old->exchange);
	process_lock();
	handle_tidy(cache, old);
	process_unlock();
}

/* Call it with process->attaching held. */
static void renew(struct larder *cache, struct attachment *attachment)
{
	uint64_t owner = load_relaxed(&attachment->cache.arena.header->owner), now_ms = monotonic_ms();

	if (!gone(attachment)) {
		store_relaxed(&attachment->retry_ms, now_ms + LOOK_MS);
		if (!(owner & OWNER_DIED))
			store_relaxed(&attachment->owner, owner);
	} else if (attach(cache, channel_deadline(cache->source.timeout_ms), NULL) == 0) {
		leave(cache, attachment);
	} else {
		put_off(attachment, now_ms);
	}
}

/*
 * One thread tries; the others go on with what there is. They are told to hurry by whoever found another arena first, for
 * until all have changed over some read what others write no more.
 */
static void renew_when_due(struct larder *cache)
{
	struct attachment *attachment;
	bool hurry;

	if (pthread_mutex_trylock(&cache->process->attaching) != 0)
		return;
	attachment = load_relaxed(&cache->current);
	if (attachment_stale(attachment)) {
		hurry = load_relaxed(&attachment->cache.arena.header->superseded) &&
		        !load_relaxed(&attachment->hurried);
		if (hurry)
			store_relaxed(&attachment->hurried, 1);
		if (hurry || monotonic_ms() >= load_relaxed(&attachment->retry_ms))
			renew(cache, attachment);
	}
	pthread_mutex_unlock(&cache->process->attaching);
}

int handle_attach(struct larder *cache, struct fault *fault)
{
	struct process *process = cache->process;
	uint64_t deadline_ms;
	int result = 0;

	if (load_relaxed(&process->token) != 0) {
		renew_when_due(cache);
		return 0;
	}
	failpoint_arm();
	/* The time in the queue counts: where larderd does not answer, many threads wait no longer than one. */
	deadline_ms = channel_deadline(cache->source.timeout_ms);
	pthread_mutex_lock(&process->attaching);
	if (load_relaxed(&process->token) == 0)
		result = attach(cache, deadline_ms, fault);
	pthread_mutex_unlock(&process->attaching);
	return result;
}

/* What threads that have not ended replaced and did not count yet; what they used larderd collects. */
static void tell_dead(struct larder *cache)
{
	struct process *process = cache->process;
	uint32_t left = 0;

	for (struct attachment *one = cache->attachments; one; one = one->next)
		left += one->threads;
	for (size_t i = 0; i < THREADS_MAX && left > 0; i++) {
		if (!load_relaxed(&process->threads[i].owner))
			continue;
		dead_tell(&process->threads[i].thread);
		left--;
	}
}

/* Ends this process's attachments, if it has any, and lets go of what it inherited. */
static void detach(struct larder *cache)
{
	struct attachment *attachment;

	if (load_relaxed(&cache->process->token) != 0) {
		process_delist(cache->process); /* from here on no thread that ends does it itself */
		tell_dead(cache);
	} else {
		inherit(cache);
	}
	while ((attachment = cache->attachments)) {
		cache->attachments = attachment->next;
		if (load_relaxed(&attachment->token) != 0) {
			attachment_unmap(attachment); /* first: who hears the hang-up may ask for the lease at once */
			attachment_close_channel(attachment, true);
		}
		free(attachment);
	}
	while ((attachment = cache->inherited)) {
		cache->inherited = attachment->next;
		/* Not all of it: that would unmap whatever now lies where the parent had its control page. */
		arena_unmap(&attachment->cache.arena);
		free(attachment);
	}
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static int choose_path(const char *path, char **ret_path, struct fault *fault)
{
	char *directory;
	int length;

	if (!path) {
		path = secure_getenv("LARDER_SOCKET");
		if (!path || !*path)
			path = WIRE_DEFAULT_SOCKET;
	}
	if (*path == '/') {
		*ret_path = strdup(path);
		return *ret_path ? 0 : fault_set(fault, -ENOMEM, "out of memory");
	}
	directory = getcwd(NULL, 0);
	if (!directory)
		return fault_set(fault, -errno, "cannot tell the current directory, to which %s is relative: %s", path,
		                 strerrordesc_np(errno));
	length = asprintf(ret_path, "%s/%s", directory, path);
	free(directory);
	return length >= 0 ? 0 : fault_set(fault, -ENOMEM, "out of memory");
}

static int open_handle(const char *socket_path, const struct larder_open_options *options, larder **ret_cache,
                       struct fault *fault)
{
	struct larder *cache;
	char *path;
	int result;

	if (options->flags & ~LARDER_OPEN_FENCED)
		return fault_set(fault, -EINVAL, "the open options have flags that larder %s does not know: 0x%x",
		                 larder_version(), options->flags & ~LARDER_OPEN_FENCED);
	cache = calloc(1, sizeof *cache);
	if (!cache)
		return fault_set(fault, -ENOMEM, "out of memory");
	cache->source.timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS_DEFAULT;
	cache->source.fenced = FORCE_FENCED || (options->flags & LARDER_OPEN_FENCED);
	result = choose_path(socket_path, &path, fault);
	if (result != 0)
		goto fail_cache;
	cache->source.socket_path = path;
	result = process_create(&cache->process);
	if (result != 0) {
		fault_set(fault, result, "cannot map memory that a forked child does not inherit: %s",
		          strerrordesc_np(-result));
		goto fail_path;
	}
	if (pthread_key_create(&cache->key, thread_end) != 0) {
		result = fault_set(fault, -EMFILE,
		                   "this process has no thread key left: share handles among threads, or close some");
		goto fail_process;
	}
	result = handle_attach(cache, fault);
	if (result != 0)
		goto fail_key;
	*ret_cache = cache;
	return 0;
fail_key:
	detach(cache); /* of what there was room for */
	pthread_key_delete(cache->key);
fail_process:
	process_destroy(cache->process);
fail_path:
	free(path);
fail_cache:
	free(cache);
	return result;
}

int larder_open(const char *socket_path, const struct larder_open_options *options, larder **ret_cache)
{
	struct larder_open_options known;
	struct fault fault = { .text = "" };
	struct guard guard;
	int result;

	if (!ret_cache || options_read(options, &known, sizeof known) != 0)
		return -EINVAL;
	guard = guard_begin();
	result = open_handle(socket_path, &known, ret_cache, &fault);
	guard_end(guard);
	if (result != 0 && known.error && known.error_size > 0)
		snprintf(known.error, known.error_size, "%s", fault.text[0] ? fault.text : larder_strerror(result));
	return result;
}

void larder_close(larder *cache)
{
	struct guard guard;

	if (!cache)
		return;
	guard = guard_begin();
	detach(cache);
	pthread_key_delete(cache->key);
	process_destroy(cache->process);
	free(cache->source.socket_path);
	free(cache);
	guard_end(guard);
}
