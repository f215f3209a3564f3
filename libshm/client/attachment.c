/* SPDX-License-Identifier: MIT */
#include "client/attachment.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "client/session.h"

/* Maps what larderd handed out. Takes over lease and channel of the session when it succeeds. */
static int map(struct attachment *attachment, const struct attachment_source *source, const struct session *session,
               struct fault *fault)
{
	struct stat channel;
	int result;

	if (fstat(session->channel, &channel) != 0)
		return fault_set(fault, -errno, "cannot look at the connection to larderd: %s", strerrordesc_np(errno));
	result = cache_attach(&attachment->cache, session->arena_fd, session->control_fd, !session->read_only,
	                      source->fenced, source->timeout_ms, fault);
	if (result != 0)
		return result;
	if (attachment->cache.arena.bytes != session->arena_bytes) {
		cache_detach(&attachment->cache);
		return fault_set(fault, -EPROTO, "larderd at %s handed out an arena of another size than it announced",
		                 source->socket_path);
	}
	attachment->lease = session->lease;
	attachment->channel = session->channel;
	attachment->channel_device = channel.st_dev;
	attachment->channel_inode = channel.st_ino;
	store_relaxed(&attachment->owner, load_relaxed(&attachment->cache.arena.header->owner));
	pthread_mutex_init(&attachment->exchange, NULL);
	return 0;
}

int attachment_begin(struct attachment *attachment, const struct attachment_source *source, uint64_t deadline_ms,
                     struct fault *fault)
{
	struct session session;
	int result = session_open(source->socket_path, deadline_ms, &session, fault);

	if (result != 0)
		return result;
	result = map(attachment, source, &session, fault);
	close(session.arena_fd);
	close(session.control_fd);
	if (result != 0) {
		lease_give_up(&session.lease);
		close(session.channel);
	}
	return result;
}

void attachment_unmap(struct attachment *attachment)
{
	const struct attachment rest = { .channel = attachment->channel,
		                         .channel_device = attachment->channel_device,
		                         .channel_inode = attachment->channel_inode,
		                         .next = attachment->next };

	cache_detach(&attachment->cache);
	lease_give_up(&attachment->lease);
	failpoint("detach.unmapped");
	pthread_mutex_destroy(&attachment->exchange);
	*attachment = rest;
}

bool attachment_connected(const struct attachment *attachment)
{
	struct stat file;

	return attachment->channel >= 0 && fstat(attachment->channel, &file) == 0 &&
	       file.st_dev == attachment->channel_device && file.st_ino == attachment->channel_inode;
}

bool attachment_hung_up(const struct attachment *attachment)
{
	struct pollfd one = { .fd = attachment->channel, .events = POLLRDHUP };

	return poll(&one, 1, 0) > 0;
}

void attachment_close_channel(struct attachment *attachment, bool hang_up)
{
	if (attachment_connected(attachment)) {
		if (hang_up)
			shutdown(attachment->channel, SHUT_RDWR);
		failpoint("detach.hung_up");
		close(attachment->channel);
	}
	attachment->channel = -1;
}
