/* SPDX-License-Identifier: MIT */
/* Lines for people, on standard error; under systemd with the level in front, as the journal wants it. */
#ifndef LARDER_DAEMON_LOG_H
#define LARDER_DAEMON_LOG_H

/* Numbers of syslog(3). */
enum log_level { LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };

/* role names the process in each line ("larderd", "keeper"). */
void log_open(const char *role);

/* Lines of a higher (less urgent) level are dropped from now on. */
void log_set_level(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/*
 * For lines that a client can provoke at will: at most a few per second are written, and the number of those left out
 * is told once there is room again.
 */
void log_provoked(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
