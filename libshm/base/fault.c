/* SPDX-License-Identifier: MIT */
#include "base/fault.h"

#include <stdarg.h>
#include <stdio.h>

int fault_set(struct fault *fault, int result, const char *format, ...)
{
	va_list arguments;

	if (fault) {
		va_start(arguments, format);
		vsnprintf(fault->text, sizeof fault->text, format, arguments);
		va_end(arguments);
	}
	return result;
}
