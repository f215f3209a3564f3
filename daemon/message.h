/* SPDX-License-Identifier: MIT */
/* Messages with descriptors over SEQPACKET sockets. Nothing here waits. */
#ifndef LARDER_DAEMON_MESSAGE_H
#define LARDER_DAEMON_MESSAGE_H

#include <stddef.h>
#include <sys/types.h>

#define MESSAGE_FDS_MAX 4 /* an even number, see message.c */

/* Sends one whole message. Return: 0; -EAGAIN: the other side's queue is full; -errno. */
int message_send(int socket, const void *data, size_t size, const int *fds, int fd_count);

/*
 * Receives one message and the descriptors that came along (close-on-exec, now the caller's). On a negative result
 * there are none.
 * Return: its bytes, 0: the other side hung up; -EAGAIN: nothing there; -EPROTO: it is larger than the buffer, or
 * brought more descriptors than MESSAGE_FDS_MAX; -errno.
 */
ssize_t message_receive(int socket, void *buffer, size_t size, int ret_fds[MESSAGE_FDS_MAX], int *ret_fd_count);

/* Copies the beginning of the next message and leaves it there. Return: how much of it, as message_receive. */
ssize_t message_peek(int socket, void *buffer, size_t size);

/* Closes those that are there; -1 is none. */
void message_close(const int *fds, int fd_count);

#endif
