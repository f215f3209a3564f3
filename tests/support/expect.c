/* SPDX-License-Identifier: MIT */
#include "tests/support/expect.h"

#include <poll.h>

#include "base/clock.h"

struct patience patience_start(unsigned milliseconds)
{
	return (struct patience){ monotonic_ns() + milliseconds * NS_PER_MS };
}

int patience_left(struct patience patience)
{
	if (monotonic_ns() >= patience.until_ns)
		return 0;
	poll(NULL, 0, 1);
	return 1;
}
