/* SPDX-License-Identifier: MIT */
/*
 * The processes that a larderd let in outlive it, and go on with the arena: they read, write and hold views. The next
 * larderd that opens the file knows nothing of them, since their control pages died with the memory of the first: it
 * must not reuse any memory that they may be looking at.
 *
 * The kernel can tell when the last of them is gone. All of them have the arena by one opening of the file: they got a
 * copy of that larderd's descriptor, and each mapping made with it counts as such. The next larderd opens the file anew. The
 * kernel grants a write lease (fcntl(2), F_SETLEASE) on its opening only as long as there is no other one, neither as a
 * descriptor nor under a mapping, in whatever process. That cannot be faked, and needs nobody's help: it ends
 * with the address space. So the arena is adopted at once, and everybody may read it, and write where memory is free;
 * but until that lease can be had no memory is reused.
 *
 * What a file cannot have is seals. Who was let in can cut the file short by the descriptor it was given, and whoever uses the
 * arena then dies of SIGBUS; larderd.conf(5) says so.
 */
#include "daemon/arena_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/layout.h"
#include "daemon/config.h"

struct new_path {
	char text[CONFIG_PATH_MAX + 8];
};

static struct new_path new_path_of(const char *path)
{
	struct new_path new;

	snprintf(new.text, sizeof new.text, "%s.new", path);
	return new;
}

static int check_file(int fd, const char *path, struct fault *fault)
{
	struct stat file;
	uint64_t magic = 0;

	if (fstat(fd, &file))
		return fault_set(fault, -errno, "cannot examine %s: %s", path, strerror(errno));
	if (!S_ISREG(file.st_mode))
		return fault_set(fault, -EEXIST, "%s is no ordinary file; choose another arena_file", path);
	if (file.st_uid != geteuid() || (file.st_mode & 07077) != 0 || file.st_nlink != 1)
		return fault_set(
			fault, -EPERM,
			"%s belongs to user %u, has mode %04o and %u names; an arena must belong to the user of "
			"larderd, who alone may read and write it, and have one name",
			path, (unsigned int)file.st_uid, (unsigned int)file.st_mode & 07777,
			(unsigned int)file.st_nlink);
	if (pread(fd, &magic, sizeof magic, offsetof(struct arena_header, magic)) != sizeof magic ||
	    magic != ARENA_MAGIC)
		return fault_set(fault, -EEXIST, "%s is there and is no arena; remove it, or choose another arena_file",
		                 path);
	return 0;
}

int arena_file_open(const char *path, struct fault *fault)
{
	/* Not to wait for the other end of what turns out to be a pipe. */
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), result;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return fault_set(fault, -errno, "cannot open %s: %s", path,
		                 errno == ELOOP ? "it is a symbolic link, which larderd does not follow"
		                                : strerror(errno));
	result = check_file(fd, path, fault);
	if (result == 0)
		return fd;
	close(fd);
	return result;
}

int arena_file_create(const char *path, struct arena_size size, enum page_choice choice, uint64_t *ret_page_bytes,
                      struct fault *fault)
{
	struct new_path new = new_path_of(path);
	int fd, result;

	unlink(new.text); /* of one that was killed while it was here */
	fd = open(new.text, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fault_set(fault, -errno, "cannot make %s: %s", new.text, strerror(errno));
	result = arena_memory_in(fd, size, choice, ret_page_bytes, fault);
	if (result == 0)
		return fd;
	unlink(new.text);
	close(fd);
	return result;
}

int arena_file_publish(const char *path, struct fault *fault)
{
	if (rename(new_path_of(path).text, path) == 0)
		return 0;
	return fault_set(fault, -errno, "cannot make %s: %s", path, strerror(errno));
}

void arena_file_discard(const char *path)
{
	unlink(new_path_of(path).text);
}

bool arena_file_at(const char *path, int fd)
{
	struct stat opened, named;

	return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 && opened.st_dev == named.st_dev &&
	       opened.st_ino == named.st_ino;
}

int arena_file_sole(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_WRLCK) == 0) {
		fcntl(fd, F_SETLEASE, F_UNLCK);
		return 1;
	}
	return errno == EAGAIN ? 0 : -errno;
}
