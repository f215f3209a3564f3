/* SPDX-License-Identifier: MIT */
/*
 * One exchange at a time: a thread sends its request and waits for the reply under the attachment's lock. A reply that
 * comes after its request was given up is recognised by its number when the next one waits, and dropped.
 */
#include "client/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/wire.h"
#include "client/channel.h"
#include "client/guard.h"

static struct iovec part(const void *bytes, size_t size)
{
	return (struct iovec){ .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
}

static int write_all(int fd, const void *bytes, size_t size)
{
	const char *rest = bytes;

	while (size > 0) {
		ssize_t written = write(fd, rest, size);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			rest += written;
			size -= (size_t)written;
		}
	}
	return 0;
}

/* A memfd with key and value, sealed so that larderd can map it without fear. Return: the descriptor or -errno. */
static int payload_create(const struct write_request *request)
{
	int fd = memfd_create("larder-request", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int result;

	if (fd < 0)
		return -errno;
	result = write_all(fd, request->key, request->key_size);
	if (result == 0)
		result = write_all(fd, request->value, request->value_size);
	if (result == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
		result = -errno;
	if (result == 0)
		return fd;
	close(fd);
	return result;
}

static int send_request(int channel, const struct write_request *request, uint64_t id, uint64_t deadline_ms)
{
	const bool in_memfd = request->key_size + request->value_size > WIRE_INLINE_MAX;
	const struct wire_request head = {
		.type = WIRE_REQUEST,
		.operation = request->operation,
		.id = id,
		.ttl_ms = request->ttl_ms,
		.expected_version = request->expected_version,
		.delta = request->delta,
		.initial = request->initial,
		.flags = request->flags,
		.incr_flags = request->incr_flags,
		.key_size = (uint32_t)request->key_size,
		.payload_in_memfd = in_memfd,
		.value_size = request->value_size,
	};
	const struct iovec parts[] = {
		part(&head, sizeof head),
		part(request->key, request->key_size),
		part(request->value, request->value_size),
	};
	int payload, result;

	if (!in_memfd)
		return channel_send(channel, parts, 3, -1, deadline_ms);
	payload = payload_create(request);
	if (payload < 0)
		return payload;
	result = channel_send(channel, parts, 1, payload, deadline_ms);
	close(payload);
	return result;
}

static int receive_reply(int channel, uint64_t id, uint64_t deadline_ms, struct wire_reply *ret_reply)
{
	int result;

	do {
		result = channel_receive(channel, ret_reply, sizeof *ret_reply, NULL, NULL, deadline_ms);
		if (result != 0)
			return result;
		if (ret_reply->type != WIRE_REPLY || ret_reply->id > id || ret_reply->result > LARDER_END ||
		    ret_reply->result < -4095)
			return -EPROTO;
	} while (ret_reply->id != id);
	return 0;
}

/* What larderd is asked for: a write, or (where that is NULL) a size. */
struct question {
	const struct write_request *write;
	uint64_t bytes;
};

static int send_question(int channel, const struct question *question, uint64_t id, uint64_t deadline_ms)
{
	const struct wire_resize resize = { .type = WIRE_RESIZE, .id = id, .bytes = question->bytes };
	const struct iovec whole = part(&resize, sizeof resize);

	if (question->write)
		return send_request(channel, question->write, id, deadline_ms);
	return channel_send(channel, &whole, 1, -1, deadline_ms);
}

static int exchange(struct attachment *attachment, const struct question *question, uint64_t deadline_ms,
                    struct wire_reply *ret_reply)
{
	const uint64_t id = ++attachment->last_request;
	int result;

	if (channel_too_late(deadline_ms))
		return -ETIMEDOUT;
	/* Whoever was there is gone, or could not be understood. */
	if (load_relaxed(&attachment->lost) || !attachment_connected(attachment))
		result = -ENOTCONN;
	else
		result = send_question(attachment->channel, question, id, deadline_ms);
	failpoint("remote.sent");
	if (result == -ECONNRESET)
		result = -ENOTCONN; /* it was not sent */
	if (result == 0)
		result = receive_reply(attachment->channel, id, deadline_ms, ret_reply);
	if (result == -ECONNRESET || result == -EPROTO)
		result = -EIO;
	/*
	 * The descriptor stays: to close it would tell a living larderd that this process had left, while it goes on
	 * reading.
	 */
	if (result == -EIO || result == -ENOTCONN)
		store_relaxed(&attachment->lost, 1);
	return result;
}

/* In its turn among the threads of the process. */
static int ask(struct attachment *attachment, const struct question *question, uint32_t timeout_ms,
               struct wire_reply *ret_reply)
{
	const uint64_t deadline_ms = channel_deadline(timeout_ms); /* includes the wait for other threads' exchanges */
	struct guard guard = guard_begin();
	int result;

	pthread_mutex_lock(&attachment->exchange);
	result = exchange(attachment, question, deadline_ms, ret_reply);
	pthread_mutex_unlock(&attachment->exchange);
	guard_end(guard);
	return result;
}

int remote_write(struct attachment *attachment, const struct write_request *request, uint32_t timeout_ms,
                 struct write_result *ret_result)
{
	const struct question question = { .write = request };
	struct wire_reply reply;
	int result;

	if (request->value_size > arena_value_max(&attachment->cache.arena))
		return -E2BIG;
	result = ask(attachment, &question, timeout_ms, &reply);
	if (result != 0)
		return result;
	if (reply.result == 0)
		*ret_result = (struct write_result){ .version = reply.version, .value = reply.value };
	return reply.result;
}

int remote_resize(struct attachment *attachment, uint64_t bytes, uint32_t timeout_ms, uint64_t *ret_bytes)
{
	const struct question question = { .bytes = bytes };
	struct wire_reply reply;
	int result = ask(attachment, &question, timeout_ms, &reply);

	if (result != 0)
		return result;
	if (reply.result == 0 || reply.result == -ERANGE)
		*ret_bytes = (uint64_t)reply.value;
	return reply.result > 0 ? -EPROTO : reply.result;
}
