/* SPDX-License-Identifier: MIT */
#include "daemon/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_BYTES 1024
#define PROVOKED_PER_SECOND 10

/* The process has one log; these are set once at its beginning and again after a fork. */
static struct {
	const char *role;
	enum log_level level;
	bool journal;
} settings = { "larderd", LOG_INFO, false };

/* True when standard error is the journal itself, not a terminal or file somebody redirected it to. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat file;
	uint64_t device, inode;

	return stream && sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &file) == 0 && file.st_dev == device && file.st_ino == inode;
}

void log_open(const char *role)
{
	settings.role = role;
	settings.journal = stderr_is_journal();
}

void log_set_level(enum log_level level)
{
	settings.level = level;
}

static void write_line(enum log_level level, const char *format, va_list arguments)
{
	char line[LINE_BYTES];
	int used, more;

	if (settings.journal)
		used = snprintf(line, sizeof line, "<%d>%s: ", (int)level, settings.role);
	else
		used = snprintf(line, sizeof line, "%s[%d]: ", settings.role, (int)getpid());
	more = vsnprintf(line + used, sizeof line - (size_t)used - 1, format, arguments);
	if (more > (int)sizeof line - used - 2)
		more = (int)sizeof line - used - 2;
	used += more > 0 ? more : 0;
	line[used++] = '\n';
	/*
	 * One write for a whole line, so that the lines of two processes do not mix. Where it fails nobody could be
	 * told.
	 */
	if (write(STDERR_FILENO, line, (size_t)used) < 0)
		return;
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list arguments;

	if (level > settings.level)
		return;
	va_start(arguments, format);
	write_line(level, format, arguments);
	va_end(arguments);
}

void log_provoked(enum log_level level, const char *format, ...)
{
	static uint64_t second;
	static unsigned int written, left_out;
	uint64_t now = monotonic_ms() / 1000;
	va_list arguments;

	if (level > settings.level)
		return;
	if (now != second) {
		unsigned int untold = left_out;

		second = now;
		written = left_out = 0;
		if (untold)
			log_line(LOG_WARNING, "%u lines about clients were left out", untold);
	}
	if (written++ >= PROVOKED_PER_SECOND) {
		left_out++;
		return;
	}
	va_start(arguments, format);
	write_line(level, format, arguments);
	va_end(arguments);
}
