/* SPDX-License-Identifier: MIT */
#include "bench/contrast.h"

#include <math.h>

#define SIGNIFICANT 4 /* standard errors */

void contrast_add(struct contrast *contrast, const struct histogram *these, const struct histogram *those)
{
	double a = 0, b = 0;

	for (unsigned i = HISTOGRAM_BUCKETS; i-- > 0;) {
		a += (double)these->counts[i];
		b += (double)those->counts[i];
		contrast->tails[i].these += a;
		contrast->tails[i].those += b;
		contrast->tails[i].these_squared += a * a;
		contrast->tails[i].those_squared += b * b;
		contrast->tails[i].product += a * b;
	}
	contrast->these += a;
	contrast->those += b;
}

uint64_t contrast_excess(const struct contrast *contrast)
{
	const double scale = contrast->those > 0 ? contrast->these / contrast->those : 0;

	for (unsigned i = HISTOGRAM_BUCKETS; i-- > 0;) {
		double excess = contrast->tails[i].these - scale * contrast->tails[i].those;
		double squares = contrast->tails[i].these_squared - 2 * scale * contrast->tails[i].product +
		                 scale * scale * contrast->tails[i].those_squared;

		if (excess > SIGNIFICANT * sqrt(squares))
			return histogram_value(i);
	}
	return 0;
}
