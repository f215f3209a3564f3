/* SPDX-License-Identifier: MIT */
/*
 * The new program is executed by this very process. So pid, open descriptors and place in the service manager's tree
 * stay, and all that has to be told is which descriptor is what: in a note, a memfd whose number is in the environment.
 *
 * After execve(2) there is no way back. That is why the new program is tried first: a child executes it with the same
 * arguments, descriptors and configuration while the keeper is still at work; it goes through the start as far as to
 * the adoption of the arena, but takes nothing, and signs the note. Only a program that signed is executed; what
 * crashes, does not know the option, reads a configuration with a fault in it or lays memory out differently did not.
 */
#include "daemon/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/layout.h"
#include "daemon/log.h"
#include "larder.h"

#define VARIABLE "LARDERD_UPGRADE"
#define NOTE_FORMAT UINT64_C(0x4c44550000000001) /* change it with struct note */

struct note {
	uint64_t format;
	uint64_t fds_per_client;
	uint64_t signature; /* the layout stamp of the program that was tried */
	uint64_t next_id;
	uint64_t client_count;
	int32_t listener, lock, arena, wake, roster, arena_lock;
	struct vault_client clients[];
};

/* ---- the note ---------------------------------------------------------------------------------------------------- */

static size_t note_bytes(uint64_t client_count)
{
	return sizeof(struct note) + client_count * sizeof(struct vault_client);
}

static int write_all(int fd, const void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t wrote = write(fd, (const char *)data + done, size - done);

		if (wrote < 0)
			return -errno;
		done += (size_t)wrote;
	}
	return 0;
}

/* Return: a descriptor that is not inherited over exec, or -errno. */
static int write_note(const struct handover *held)
{
	const struct note note = { .format = NOTE_FORMAT,
		                   .fds_per_client = VAULT_FDS,
		                   .next_id = held->clients.next_id,
		                   .client_count = held->clients.count,
		                   .listener = held->listener,
		                   .lock = held->lock,
		                   .arena = held->arena,
		                   .wake = held->wake,
		                   .roster = held->roster,
		                   .arena_lock = held->arena_lock };
	int fd = memfd_create("larder-upgrade", MFD_CLOEXEC), result;

	if (fd < 0)
		return -errno;
	result = write_all(fd, &note, sizeof note);
	if (result == 0)
		result = write_all(fd, held->clients.clients, note_bytes(note.client_count) - sizeof note);
	if (result == 0)
		return fd;
	close(fd);
	return result;
}

static int note_of_environment(void)
{
	const char *text = getenv(VARIABLE);

	return text ? (int)strtol(text, NULL, 10) : -1;
}

bool upgrade_present(void)
{
	return getenv(VARIABLE) != NULL;
}

void upgrade_forget(void)
{
	if (!upgrade_present())
		return;
	close(note_of_environment());
	unsetenv(VARIABLE);
}

int upgrade_accept(struct fault *fault)
{
	const uint64_t signature = layout_stamp();
	ssize_t wrote = pwrite(note_of_environment(), &signature, sizeof signature, offsetof(struct note, signature));

	return wrote == sizeof signature ? 0 : fault_set(fault, -EIO, "cannot sign the note of the larderd that runs");
}

static int take_clients(struct vault *vault, int fd, const struct note *note)
{
	for (uint64_t i = 0; i < note->client_count; i++) {
		struct vault_client client;
		int result;

		if (pread(fd, &client, sizeof client, (off_t)note_bytes(i)) != sizeof client)
			return -EPROTO;
		result = vault_put(vault, &client);
		if (result)
			return result;
	}
	vault->next_id = note->next_id;
	return 0;
}

static void forbid_inheritance(int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
}

int upgrade_receive(struct handover *ret_handover, struct fault *fault)
{
	struct handover handover = HANDOVER_NONE;
	struct note note;
	struct stat file;
	int fd = note_of_environment(), result = -EPROTO;

	if (fstat(fd, &file) == 0 && pread(fd, &note, sizeof note, 0) == sizeof note && note.format == NOTE_FORMAT &&
	    note.fds_per_client == VAULT_FDS && (uint64_t)file.st_size == note_bytes(note.client_count)) {
		handover.listener = note.listener;
		handover.lock = note.lock;
		handover.arena = note.arena;
		handover.wake = note.wake;
		handover.roster = note.roster;
		handover.arena_lock = note.arena_lock;
		handover.whole = true;
		result = take_clients(&handover.clients, fd, &note);
	}
	if (result)
		return fault_set(fault, result,
		                 "the larderd that runs hands over in a form that larderd %d.%d.%d does not know; "
		                 "restart it instead",
		                 LARDER_VERSION_MAJOR, LARDER_VERSION_MINOR, LARDER_VERSION_PATCH);
	handover_each(&handover, forbid_inheritance);
	*ret_handover = handover;
	return 0;
}

/* ---- the old program --------------------------------------------------------------------------------------------- */

static void allow_inheritance(int fd)
{
	fcntl(fd, F_SETFD, 0);
}

/* Returns only on failure. Descriptors are made inheritable at the last moment: a keeper's child has no use for them. */
static int execute(const struct program *program, const char *const *arguments, const struct handover *held,
                   int note_fd)
{
	char number[16];
	int result;

	snprintf(number, sizeof number, "%d", note_fd);
	setenv(VARIABLE, number, 1);
	allow_inheritance(note_fd);
	handover_each(held, allow_inheritance);
	execv(program->path, (char *const *)arguments);
	result = -errno;
	handover_each(held, forbid_inheritance);
	unsetenv(VARIABLE);
	return result;
}

static _Noreturn void become_trial(const struct program *program, const struct handover *held, int note_fd)
{
	const char **arguments;
	size_t count = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (program->arguments[count])
		count++;
	arguments = calloc(count + 2, sizeof *arguments);
	if (arguments) {
		memcpy(arguments, program->arguments, count * sizeof *arguments);
		arguments[count] = "--" UPGRADE_OPTION;
		log_error("cannot run %s: %s", program->path, strerror(-execute(program, arguments, held, note_fd)));
	}
	_exit(EXIT_FAILURE);
}

int upgrade_try(const struct program *program, const struct handover *held, struct trial *ret_trial)
{
	int note_fd = write_note(held), result;
	pid_t child;

	if (note_fd < 0)
		return note_fd;
	child = fork();
	if (child == 0)
		become_trial(program, held, note_fd);
	if (child < 0) {
		result = -errno;
		close(note_fd);
		return result;
	}
	*ret_trial = (struct trial){ .child = child, .note_fd = note_fd, .until_ms = monotonic_ms() + UPGRADE_TRY_MS };
	return 0;
}

int upgrade_judge(struct trial *trial, int status, struct fault *fault)
{
	uint64_t signature = 0;

	if (pread(trial->note_fd, &signature, sizeof signature, offsetof(struct note, signature)) != sizeof signature)
		signature = 0;
	close(trial->note_fd);
	*trial = (struct trial){ .note_fd = -1 };
	if (WIFSIGNALED(status))
		return fault_set(fault, -EINVAL, "the new larderd was killed by signal %d (%s) when it was tried",
		                 WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) != 0)
		return fault_set(fault, -EINVAL, "the new larderd ended with status %d when it was tried",
		                 WEXITSTATUS(status));
	if (signature != layout_stamp())
		return fault_set(fault, -EPROTO, "the new program is no larderd that could go on with this arena");
	return 0;
}

int upgrade_execute(const struct program *program, const struct handover *held)
{
	int note_fd = write_note(held), result;

	if (note_fd < 0)
		return note_fd;
	result = execute(program, program->arguments, held, note_fd);
	close(note_fd);
	return result;
}
