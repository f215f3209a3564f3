/* SPDX-License-Identifier: MIT */
/*
 * A larderd of the test's own, in a directory of its own. It is the binary $LARDERD, else the one of the same build.
 * LARDER_TEST_PAGES=huge runs it on huge pages, where its size allows that. All calls end the process with a message
 * when they cannot do their work.
 */
#ifndef LARDER_TESTS_SERVER_H
#define LARDER_TESTS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct server {
	pid_t pid;
	char directory[64]; /* everything of this server; server_stop removes it */
	char socket[96];
	char log[96]; /* its stderr */
};

/* Starts it and returns when it is ready. Further arguments for larderd follow size, ended by NULL. */
void server_start(struct server *server, const char *size, ...) __attribute__((sentinel));

/* The first half of that: the directory and the paths in it, nothing runs. */
void server_prepare(struct server *server);

/*
 * The second half, may be repeated: runs larderd with this and no other argument; false: it ended before it was ready.
 */
bool server_run(struct server *server, const char *const arguments[]);

/* Whether the process still runs. */
bool server_alive(const struct server *server);

/* Waits for the end of the process. Return: its exit status, or 128 + signal. */
int server_wait(struct server *server);

/* Ends a running server as an administrator would, expects that it tidies up, and removes the directory. */
void server_stop(struct server *server);

/* The keeper: the supervisor's child; 0: it has none at the moment. */
pid_t server_keeper(const struct server *server);

/* How many descriptors a process has open. */
unsigned server_descriptors(pid_t pid);

/* Reads all of a small file as a string into buffer. */
void server_read_file(const char *path, char *buffer, size_t buffer_size);

/* Writes a file into the server's directory, returns its path in ret_path. */
void server_write_file(const struct server *server, const char *name, const char *text, char ret_path[128]);

#endif
