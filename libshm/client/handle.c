/* SPDX-License-Identifier: MIT */
/*
 * A handle outlives forks. Its attachment does not: control page and connection tell larderd which process reads and
 * writes, so a child must have its own. Nothing can be done at fork itself, for a library should not hook it, so the
 * child finds out at its first call (process.h) and then
 *   - closes its copy of the parent's socket, if it still is that: programs that turn into daemons close everything, and
 *     the number may by now be a file of theirs;
 *   - leaves the arena where the parent mapped it, for views that the parent took are read there;
 *   - attaches anew. The control page was not inherited at all.
 */
#include "client/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/wire.h"
#include "client/channel.h"
#include "client/guard.h"
#include "client/options.h"
#include "client/session.h"
#include "client/thread.h"
#include "larder.h"

#define TIMEOUT_MS_DEFAULT 1000

#ifdef LARDER_FORCE_FENCED
#define FORCE_FENCED true
#else
#define FORCE_FENCED false
#endif

/* ---- attachments --------------------------------------------------------------------------------------------------- */

/* Maps what larderd handed out. Takes over lease and channel of the session when it succeeds. */
static int attachment_map(struct attachment *attachment, const struct larder *cache, const struct session *session,
                          struct fault *fault)
{
	struct stat channel;
	int result;

	if (fstat(session->channel, &channel) != 0)
		return fault_set(fault, -errno, "cannot look at the connection to larderd: %s", strerrordesc_np(errno));
	result = cache_attach(&attachment->cache, session->arena_fd, session->control_fd, !session->read_only,
	                      cache->fenced, cache->timeout_ms, fault);
	if (result != 0)
		return result;
	if (attachment->cache.arena.bytes != session->arena_bytes) {
		cache_detach(&attachment->cache);
		return fault_set(fault, -EPROTO, "larderd at %s handed out an arena of another size than it announced",
		                 cache->socket_path);
	}
	attachment->lease = session->lease;
	attachment->channel = session->channel;
	attachment->channel_device = channel.st_dev;
	attachment->channel_inode = channel.st_ino;
	pthread_mutex_init(&attachment->exchange, NULL);
	return 0;
}

static int attachment_create(const struct larder *cache, uint64_t deadline_ms, struct attachment **ret_attachment,
                             struct fault *fault)
{
	struct attachment *attachment = calloc(1, sizeof *attachment);
	struct session session;
	int result;

	if (!attachment)
		return fault_set(fault, -ENOMEM, "out of memory");
	result = session_open(cache->socket_path, deadline_ms, &session, fault);
	if (result != 0)
		goto fail;
	result = attachment_map(attachment, cache, &session, fault);
	close(session.arena_fd);
	close(session.control_fd);
	if (result != 0) {
		lease_give_up(&session.lease);
		close(session.channel);
		goto fail;
	}
	*ret_attachment = attachment;
	return 0;
fail:
	free(attachment);
	return result;
}

bool attachment_connected(const struct attachment *attachment)
{
	struct stat file;

	return attachment->channel >= 0 && fstat(attachment->channel, &file) == 0 &&
	       file.st_dev == attachment->channel_device && file.st_ino == attachment->channel_inode;
}

/* hang_up: also where children hold the socket, for which closing it would tell larderd nothing. */
static void close_channel(struct attachment *attachment, bool hang_up)
{
	if (attachment_connected(attachment)) {
		if (hang_up)
			shutdown(attachment->channel, SHUT_RDWR);
		failpoint("detach.hung_up");
		close(attachment->channel);
	}
	attachment->channel = -1;
}

static int attach(struct larder *cache, uint64_t deadline_ms, struct fault *fault)
{
	static atomic_u64 last_token;
	struct attachment *attachment = NULL;
	int result;

	if (cache->attachment)
		close_channel(cache->attachment, false);
	result = attachment_create(cache, deadline_ms, &attachment, fault);
	if (result != 0)
		return result;
	attachment->inherited = cache->attachment;
	cache->attachment = attachment;
	process_enlist(cache->process);
	store_relaxed(&cache->process->token, fetch_add_relaxed(&last_token, 1) + 1);
	return 0;
}

int handle_attach(struct larder *cache, struct fault *fault)
{
	struct process *process = cache->process;
	uint64_t deadline_ms = channel_deadline(cache->timeout_ms);
	int result = 0;

	/* The time in the queue counts: where larderd does not answer, many threads wait no longer than one. */
	failpoint_arm();
	pthread_mutex_lock(&process->attaching);
	if (load_relaxed(&process->token) == 0)
		result = attach(cache, deadline_ms, fault);
	pthread_mutex_unlock(&process->attaching);
	return result;
}

/* Ends this process's attachment, if it has one, and lets go of what it inherited. */
static void detach(struct larder *cache)
{
	struct attachment *attachment = cache->attachment;

	if (load_relaxed(&cache->process->token) != 0) {
		process_delist(cache->process);
		cache->attachment = attachment->inherited;
		cache_detach(&attachment->cache);
		lease_give_up(&attachment->lease);
		failpoint("detach.unmapped");
		close_channel(attachment, true);
		pthread_mutex_destroy(&attachment->exchange);
		free(attachment);
	}
	while ((attachment = cache->attachment)) {
		cache->attachment = attachment->inherited;
		close_channel(attachment, false);
		/* Not cache_detach: it would unmap whatever now lies where the parent had its control page. */
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
	int result;

	if (options->flags & ~LARDER_OPEN_FENCED)
		return fault_set(fault, -EINVAL, "the open options have flags that larder %s does not know: 0x%x",
		                 larder_version(), options->flags & ~LARDER_OPEN_FENCED);
	cache = calloc(1, sizeof *cache);
	if (!cache)
		return fault_set(fault, -ENOMEM, "out of memory");
	cache->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS_DEFAULT;
	cache->fenced = FORCE_FENCED || (options->flags & LARDER_OPEN_FENCED);
	result = choose_path(socket_path, &cache->socket_path, fault);
	if (result != 0)
		goto fail_cache;
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
	pthread_key_delete(cache->key);
fail_process:
	process_destroy(cache->process);
fail_path:
	free(cache->socket_path);
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
	free(cache->socket_path);
	free(cache);
	guard_end(guard);
}
