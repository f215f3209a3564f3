/* SPDX-License-Identifier: MIT */
#include "bench/bench.h"

#include <stdarg.h>
#include <stdio.h>

int complain(int result, const char *format, ...)
{
	va_list arguments;

	fputs("larder-bench: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return result;
}
