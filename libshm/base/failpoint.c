/* SPDX-License-Identifier: MIT */
#include "base/failpoint.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define VARIABLE "LARDER_FAILPOINT"
#define ENTRIES_MAX 16
#define NAME_MAX_BYTES 48
#define DELAY_MS 20

enum action { KILL, STOP, DELAY, ACTIONS };

static const char *const action_names[ACTIONS] = { "kill", "stop", "delay" };

struct entry {
	char name[NAME_MAX_BYTES];
	enum action action;
	uint64_t nth;
	atomic_u64 passages;
};

atomic_u32 failpoint_armed;

static struct entry entries[ENTRIES_MAX];
static pid_t armed_for; /* a forked child reads the variable itself */

/* In one piece and without a buffer: nothing runs in this process after it. */
static void say(const char *name, const char *what)
{
	char line[128];
	int length = snprintf(line, sizeof line, "failpoint %s: %s (pid %d)\n", name, what, (int)getpid());

	if (write(STDERR_FILENO, line, (size_t)length) < 0)
		return; /* then nobody listens */
}

static void act(const struct entry *entry)
{
	uint64_t until_ms = monotonic_ms() + DELAY_MS;

	say(entry->name, action_names[entry->action]);
	switch (entry->action) {
	case KILL:
		raise(SIGKILL);
		break;
	case STOP:
		raise(SIGSTOP);
		break;
	default:
		while (monotonic_ms() < until_ms)
			sched_yield();
	}
}

void failpoint_pass(const char *name)
{
	uint32_t count = load_relaxed(&failpoint_armed);

	for (uint32_t i = 0; i < count; i++)
		if (strcmp(entries[i].name, name) == 0 &&
		    fetch_add_relaxed(&entries[i].passages, 1) + 1 == entries[i].nth)
			act(&entries[i]);
}

/* False: the text is none of an entry. */
static bool parse(const char *text, struct entry *ret_entry)
{
	char action[8];

	if (sscanf(text, "%47[^:,;]:%" SCNu64 ":%7[^:,;]", ret_entry->name, &ret_entry->nth, action) != 3 ||
	    ret_entry->nth == 0)
		return false;
	for (int i = 0; i < ACTIONS; i++) {
		ret_entry->action = (enum action)i;
		if (strcmp(action, action_names[i]) == 0)
			return true;
	}
	return false;
}

void failpoint_arm(void)
{
	const char *text = getenv(VARIABLE);
	uint32_t count = 0;

	if (armed_for == getpid())
		return;
	armed_for = getpid();
	store_relaxed(&failpoint_armed, 0);
	while (text && *text && *text != ';') {
		if (count == ENTRIES_MAX || !parse(text, &entries[count])) {
			say(text, "is no name:nth:action, or one too many; " VARIABLE " is wrong");
			abort();
		}
		store_relaxed(&entries[count++].passages, 0);
		text += strcspn(text, ",;");
		text += *text == ',';
	}
	store_relaxed(&failpoint_armed, count);
}

void failpoint_next_keeper(void)
{
	const char *text = getenv(VARIABLE);
	const char *next = text ? strchr(text, ';') : NULL;
	char *rest = next ? strdup(next + 1) : NULL; /* setenv may overwrite what it is given a part of */

	if (rest)
		setenv(VARIABLE, rest, 1);
	else
		unsetenv(VARIABLE);
	free(rest);
}
