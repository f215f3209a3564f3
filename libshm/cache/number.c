/* SPDX-License-Identifier: MIT */
#include "cache/internal.h"

#include <string.h>

uint32_t number_format(int64_t number, char text[NUMBER_TEXT])
{
	uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
	char digits[NUMBER_TEXT];
	uint32_t start = sizeof digits, length;

	do
		digits[--start] = (char)('0' + rest % 10);
	while ((rest /= 10) != 0);
	if (number < 0)
		digits[--start] = '-';
	length = (uint32_t)sizeof digits - start;
	memcpy(text, digits + start, length);
	if (length < NUMBER_TEXT)
		text[length] = 0;
	return length;
}

bool number_parse(const unsigned char *text, size_t size, int64_t *ret_number)
{
	bool negative = size > 0 && text[0] == '-';
	uint64_t limit = (uint64_t)INT64_MAX + negative;
	uint64_t number = 0;
	size_t i = negative;

	if (i == size || size >= NUMBER_TEXT)
		return false;
	for (; i < size; i++) {
		uint64_t digit = (uint64_t)text[i] - '0';

		if (digit > 9 || number > (limit - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*ret_number = (int64_t)(negative ? 0 - number : number);
	return true;
}
