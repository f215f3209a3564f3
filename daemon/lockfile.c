/* SPDX-License-Identifier: MIT */
#include "daemon/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/config.h"

/*
 * For a keeper that follows its killed supervisor: a second. Looks are counted, not time: when all stand still for a while, the keeper
 * gets what it needs to die afterwards.
 */
#define LOOKS 200
#define LOOK_MS 5 /* between two looks */

struct lock_path {
	char text[CONFIG_PATH_MAX + 8];
};

static struct lock_path lock_path_of(const char *path)
{
	struct lock_path lock;

	snprintf(lock.text, sizeof lock.text, "%s.lock", path);
	return lock;
}

/* A lock whose file has been removed since it was opened locks nobody out. */
static bool still_there(int fd, const char *path)
{
	struct stat opened, named;

	return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 && opened.st_dev == named.st_dev &&
	       opened.st_ino == named.st_ino;
}

int lockfile_take(const char *path, const char *what, struct fault *fault)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	unsigned int looks = 0;
	struct lock_path lock = lock_path_of(path);

	for (;;) {
		int fd = open(lock.text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		int result;

		if (fd < 0)
			return fault_set(fault, -errno,
			                 "cannot make %s: %s; the folder must exist and larderd's user must be "
			                 "able to write there",
			                 lock.text, strerror(errno));
		result = flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
		if (result == 0 && still_there(fd, lock.text))
			return fd;
		close(fd);
		if (result == 0)
			continue;
		if (result != -EWOULDBLOCK)
			return fault_set(fault, result, "cannot lock %s: %s", lock.text, strerror(-result));
		if (++looks >= LOOKS)
			return fault_set(fault, -EADDRINUSE, "another larderd serves %s; stop it, or choose another %s",
			                 path, what);
		nanosleep(&pause, NULL);
	}
}

void lockfile_remove(const char *path)
{
	unlink(lock_path_of(path).text);
}
