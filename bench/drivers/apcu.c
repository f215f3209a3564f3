/* SPDX-License-Identifier: MIT */
/*
 * APCu, the cache in shared memory of PHP's processes, used by a PHP program that times itself: larder has no binding for PHP
 * to compare with, so the time of the same loop without APCu is taken off. Keys and values are made before the clock starts
 * and checked after it has stopped.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/drivers/in_process.h"
#include "bench/drivers/loops.h"
#include "bench/service.h"

/*
 * Takes lines "keys FILE", "get|set|batch FIRST COUNT" and answers each: "ok", or nanoseconds and the sums of the lower and
 * the upper halves of the first words. PHP's integers are signed, so the two halves are summed apart.
 */
static const char program[] =
	"function fail($why) { fwrite(STDERR, $why); exit(1); }\n"
	"$value_bytes = (int)$argv[1]; $fill = '';\n"
	"for ($i = 8; $i < $value_bytes; $i++) $fill .= chr(97 + $i % 26);\n"
	"if (!function_exists('apcu_enabled') || !apcu_enabled()) fail('APCu is not enabled');\n"
	"echo \"ok\\n\";\n"
	"while (($line = fgets(STDIN)) !== false) {\n"
	"  $word = explode(' ', trim($line));\n"
	"  if ($word[0] == 'keys') {\n"
	"    $records = str_split(file_get_contents($word[1]), 28); $keys = []; $words = [];\n"
	"    foreach ($records as $r) { $keys[] = substr($r, 0, 20); $words[] = substr($r, 20); }\n"
	"    unset($records); echo \"ok\\n\"; continue;\n"
	"  }\n"
	"  $some = array_slice($keys, (int)$word[1], (int)$word[2]);\n"
	"  $values = []; $ok = true; $low = 0; $high = 0;\n"
	"  if ($word[0] == 'set') {\n"
	"    foreach (array_slice($words, (int)$word[1], (int)$word[2]) as $w) $values[] = $w . $fill;\n"
	"    $begin = hrtime(true);\n"
	"    foreach ($some as $i => $k) $ok = $ok && $values[$i];\n"
	"    $middle = hrtime(true);\n"
	"    foreach ($some as $i => $k) $ok = $ok && apcu_store($k, $values[$i]);\n"
	"    $end = hrtime(true);\n"
	"    if (!$ok) fail('apcu_store');\n"
	"  } else if ($word[0] == 'batch') {\n"
	"    $batches = array_chunk($some, 32);\n"
	"    $begin = hrtime(true);\n"
	"    foreach ($batches as $b) $found = $b;\n"
	"    $middle = hrtime(true);\n"
	"    foreach ($batches as $b) $found = apcu_fetch($b);\n"
	"    $end = hrtime(true);\n"
	"    foreach ($batches as $b) { $found = apcu_fetch($b); foreach ($b as $k) $values[] = $found[$k]; }\n"
	"  } else {\n"
	"    $begin = hrtime(true);\n"
	"    foreach ($some as $k) $v = $k;\n"
	"    $middle = hrtime(true);\n"
	"    foreach ($some as $k) $v = apcu_fetch($k);\n"
	"    $end = hrtime(true);\n"
	"    foreach ($some as $k) $values[] = apcu_fetch($k);\n"
	"  }\n"
	"  foreach ($values as $v) {\n"
	"    if ($v === false) fail('apcu_fetch');\n"
	"    $half = unpack('V2', $v); $low += $half[1]; $high += $half[2];\n"
	"  }\n"
	"  printf(\"%d %d %d\\n\", max(1, ($end - $middle) - ($middle - $begin)), $low, $high);\n"
	"}\n";

struct session {
	pid_t pid;
	FILE *to, *from;
	const struct stream *stream; /* that it has */
	char path[160];
};

static _Noreturn void become(const struct driver_setup *setup, const char *path, int in, int out)
{
	char memory[48], hint[48], value_bytes[24];
	const char *const argv[] = { path,        "-d", "apc.enable_cli=1", "-d", memory,  "-d",
		                     hint,        "-d", "memory_limit=-1",  "-r", program, "--",
		                     value_bytes, NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(memory, sizeof memory, "apc.shm_size=%" PRIu64 "M",
	         ((uint64_t)setup->keys * (setup->value_bytes + 256) >> 20) * 2 + 64);
	snprintf(hint, sizeof hint, "apc.entries_hint=%" PRIu32, setup->keys);
	snprintf(value_bytes, sizeof value_bytes, "%zu", setup->value_bytes);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	execv(path, (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* Whether it has answered that it is ready for more. */
static int expect_ok(struct session *session)
{
	char line[16];

	return fgets(line, sizeof line, session->from) && strcmp(line, "ok\n") == 0 ? 0 : -EPROTO;
}

static int open_apcu(const struct driver_setup *setup, void *instance, void **ret_session, char why[DRIVER_WHY_BYTES])
{
	struct session *session = calloc(1, sizeof *session);
	int to[2], from[2], result;
	char path[256];

	(void)instance;
	if (!session)
		return -ENOMEM;
	result = service_find("php", "php-cli, php-apcu", path, why);
	if (result == 0 && (pipe(to) != 0 || pipe(from) != 0))
		result = -errno;
	if (result != 0) {
		free(session);
		return result;
	}
	session->pid = fork();
	if (session->pid == 0) {
		close(to[1]);
		close(from[0]);
		become(setup, path, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	session->to = fdopen(to[1], "w");
	session->from = fdopen(from[0], "r");
	snprintf(session->path, sizeof session->path, "%s/keys", setup->directory);
	*ret_session = session;
	if (session->pid < 0 || !session->to || !session->from || expect_ok(session) != 0) {
		snprintf(why, DRIVER_WHY_BYTES, "PHP has no APCu (Debian: php-apcu, see make bench-deps)");
		return -ENOENT;
	}
	return 0;
}

static void close_apcu(void *context)
{
	struct session *session = context;

	fclose(session->to);
	fclose(session->from);
	waitpid(session->pid, NULL, 0);
	free(session);
}

/* Hands over keys and first words, in a file, before the clock starts. */
static int send_stream(struct session *session, const struct stream *stream)
{
	FILE *file = fopen(session->path, "we");

	if (!file)
		return -errno;
	for (size_t i = 0; i < stream->count; i++) {
		uint64_t word = workload_word(stream->ids[i]);

		fwrite(stream->keys + i * KEY_BYTES, KEY_BYTES, 1, file);
		fwrite(&word, sizeof word, 1, file);
	}
	if (fclose(file) != 0)
		return -EIO;
	fprintf(session->to, "keys %s\n", session->path);
	fflush(session->to);
	session->stream = stream;
	return expect_ok(session);
}

static int run(void *context, const struct driver_work *work, struct driver_result *ret_result)
{
	static const char *const verbs[DRIVER_OPERATIONS] = {
		[DRIVER_GET] = "get", [DRIVER_GET32] = "batch", [DRIVER_SET] = "set"
	};
	struct session *session = context;
	uint64_t low, high;
	char line[96];
	int result = 0;

	/* The streams of filling come and go at one address; each begins at its beginning. */
	if (session->stream != work->stream || (work->first == 0 && work->count == work->stream->count))
		result = send_stream(session, work->stream);
	if (result != 0)
		return result;
	fprintf(session->to, "%s %zu %zu\n", verbs[work->operation], work->first, work->count);
	fflush(session->to);
	if (!fgets(line, sizeof line, session->from) ||
	    sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64, &ret_result->own_ns, &low, &high) != 3)
		return -EPROTO;
	ret_result->sum = low + (high << 32);
	return 0;
}

const struct driver driver_apcu = {
	.name = "apcu",
	.use = "APCu from PHP: apcu_fetch, apcu_fetch of 32 keys, apcu_store; the loop around them taken off",
	.operations = 1u << DRIVER_GET | 1u << DRIVER_GET32 | 1u << DRIVER_SET,
	.waits = true,
	.start = in_process_start,
	.stop = in_process_stop,
	.open = open_apcu,
	.close = close_apcu,
	.run = run,
};
