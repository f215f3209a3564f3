/* SPDX-License-Identifier: MIT */
/* A private larderd and this process's handle on its arena. */
#ifndef LARDER_BENCH_ATTACHMENT_H
#define LARDER_BENCH_ATTACHMENT_H

#include "bench/machine.h"
#include "bench/server.h"
#include "larder.h"

struct attachment {
	struct server server;
	larder *cache;
};

/* Arguments as of server_start. Return: 0 or a negative value; it has complained by then. */
int attachment_open(const char *size, const char *pages, const struct machine_cpus *cpus,
                    struct attachment *ret_attachment);
void attachment_close(struct attachment *attachment);

#endif
