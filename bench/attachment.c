/* SPDX-License-Identifier: MIT */
#include "bench/attachment.h"

#include "bench/bench.h"

int attachment_open(const char *size, const char *pages, const struct machine_cpus *cpus,
                    struct attachment *ret_attachment)
{
	struct larder_open_options options = LARDER_OPEN_OPTIONS;
	struct attachment attachment = { 0 };
	char error[256] = "";
	int result = server_start(size, pages, NULL, cpus, &attachment.server);

	if (result != 0)
		return result;
	options.error = error;
	options.error_size = sizeof error;
	result = larder_open(attachment.server.socket, &options, &attachment.cache);
	if (result != 0) {
		complain(0, "larder_open: %s", error[0] ? error : larder_strerror(result));
		server_stop(&attachment.server);
		return result;
	}
	*ret_attachment = attachment;
	return 0;
}

void attachment_close(struct attachment *attachment)
{
	larder_close(attachment->cache);
	server_stop(&attachment->server);
}
