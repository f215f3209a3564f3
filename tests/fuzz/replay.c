/* SPDX-License-Identifier: MIT */
/*
 * Gives the inputs of corpus/<name> (or the files that are named) to a fuzz target, so that findings stay found with any
 * compiler and without libFuzzer. A child does it; where it dies another one goes on behind the input that killed it.
 * The last line is "N passed, N failed".
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (1u << 20)
#define SECONDS_MAX 60 /* for one input; generous: what is looked for are loops without an end */

static bool replay(const char *path)
{
	static uint8_t bytes[INPUT_MAX];
	FILE *file = fopen(path, "re");
	uint8_t *exact;
	size_t size;

	if (!file) {
		fprintf(stderr, "cannot open %s: %s\n", path, strerror(errno));
		return false;
	}
	size = fread(bytes, 1, INPUT_MAX, file);
	fclose(file);
	exact = malloc(size + 1); /* so that a sanitizer sees where the input ends */
	if (!exact)
		return false;
	memcpy(exact + 1, bytes, size);
	alarm(SECONDS_MAX);
	LLVMFuzzerTestOneInput(exact + 1, size);
	alarm(0);
	free(exact);
	return true;
}

/* Replays inputs from *current on, which says at any time which one it is at. */
static int replay_rest(char **paths, int count, volatile int *current)
{
	for (; *current < count; *current += 1)
		if (!replay(paths[*current]))
			return 1;
	return 0;
}

/* Return: how many failed. */
static int replay_all(char **paths, int count)
{
	volatile int *current = mmap(NULL, sizeof *current, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int failed = 0, status;

	if (current == MAP_FAILED)
		return count;
	for (*current = 0; *current < count; *current += 1) {
		pid_t child;

		fflush(NULL);
		child = fork();
		if (child == 0)
			exit(replay_rest(paths, count, current));
		if (child < 0 || waitpid(child, &status, 0) != child) {
			perror("replay");
			return count;
		}
		if (status == 0)
			continue;
		failed++;
		if (*current == count)
			printf("after the last input: status %x\n", (unsigned)status);
		else if (WIFSIGNALED(status))
			printf("%s: ended by signal %d (%s)\n", paths[*current], WTERMSIG(status),
			       strsignal(WTERMSIG(status)));
		else
			printf("%s: ended with status %d\n", paths[*current], WEXITSTATUS(status));
	}
	return failed;
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* The paths of the inputs in a folder. Return: how many. */
static int list(const char *folder, char ***ret_paths)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, is_input, alphasort);
	char **paths = count > 0 ? calloc((size_t)count, sizeof *paths) : NULL;

	if (!paths) {
		fprintf(stderr, "there are no inputs in %s; run this from the top of the source tree\n", folder);
		exit(1);
	}
	for (int i = 0; i < count; i++) {
		if (asprintf(&paths[i], "%s/%s", folder, entries[i]->d_name) < 0)
			exit(1);
		free(entries[i]);
	}
	free(entries);
	*ret_paths = paths;
	return count;
}

int main(int argc, char **argv)
{
	char **paths = argv + 1, folder[64];
	int count = argc - 1, failed;

	snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", fuzz_name);
	if (argc == 1)
		count = list(folder, &paths);
	failed = replay_all(paths, count);
	printf("%d passed, %d failed\n", count > failed ? count - failed : 0, failed);
	for (int i = 0; argc == 1 && i < count; i++)
		free(paths[i]);
	if (argc == 1)
		free(paths);
	return failed != 0;
}
