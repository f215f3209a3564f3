/* SPDX-License-Identifier: MIT */
#include "client/options.h"

#include <errno.h>
#include <string.h>

#define SIZE_SENSIBLE 65536 /* a larger one is not a size but memory that was never set */

static int size_of(const void *structure, size_t *ret_size)
{
	memcpy(ret_size, structure, sizeof *ret_size);
	return *ret_size < sizeof *ret_size || *ret_size > SIZE_SENSIBLE ? -EINVAL : 0;
}

int options_read(const void *options, void *ret_known, size_t known_size)
{
	const unsigned char *bytes = options;
	size_t size;

	memset(ret_known, 0, known_size);
	if (!options)
		return 0;
	if (size_of(options, &size) != 0)
		return -EINVAL;
	for (size_t i = known_size; i < size; i++)
		if (bytes[i] != 0)
			return -EINVAL;
	memcpy(ret_known, options, size < known_size ? size : known_size);
	return 0;
}

int options_write(const void *known, size_t known_size, void *ret_structure)
{
	unsigned char *bytes = ret_structure;
	size_t size;

	if (size_of(ret_structure, &size) != 0)
		return -EINVAL;
	memset(bytes + sizeof size, 0, size - sizeof size);
	memcpy(bytes + sizeof size, (const unsigned char *)known + sizeof size,
	       (size < known_size ? size : known_size) - sizeof size);
	return 0;
}
