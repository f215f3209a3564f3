/* SPDX-License-Identifier: MIT */
/* What systemd and a starter without systemd are told, and the descriptors systemd hands over at the start. */
#ifndef LARDER_DAEMON_NOTIFY_H
#define LARDER_DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* True when there is a service manager to talk to. */
bool notify_present(void);

/* Sends assignments such as "READY=1\nSTATUS=...". Does nothing without a service manager. */
void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* RELOADING=1 with the time stamp it needs. */
void notify_reloading(void);

/*
 * Puts descriptors into the service manager's store under a name, from where a restarted larderd gets them back. They
 * stay there even when the other end of one hangs up.
 * Return: 0; -ENOENT: there is no service manager; -errno: not sent.
 */
int notify_store(const char *name, const int *fds, int fd_count);

/* Takes all descriptors of that name out of the store. */
void notify_forget(const char *name);

/* How often the service manager wants a sign of life, in milliseconds; 0: never. */
uint32_t notify_watchdog_ms(void);

/* Called for each descriptor handed over, with its name; the callee owns it. */
typedef void notify_take(void *context, const char *name, int fd);

/* Descriptors of socket activation and of the store. Forgets them, so that no child believes they are its own. */
void notify_handed_over(notify_take *take, void *context);

#endif
