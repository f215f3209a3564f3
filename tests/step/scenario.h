/* SPDX-License-Identifier: MIT */
/* The operations that are stepped through, and the states in which they begin. */
#ifndef LARDER_STEP_SCENARIO_H
#define LARDER_STEP_SCENARIO_H

#include "daemon/reclaim.h"
#include "tests/step/scene.h"

struct scenario;

/* The process that does something: one to be killed, or one that is stepped. */
struct actor {
	struct scene *scene;
	const struct scenario *scenario;
	struct client client; /* its attachment */
	struct reclaim *reclaim;
};

struct scenario {
	const char *name;
	enum role role;    /* ROLE_VICTIM or ROLE_KEEPER */
	uint32_t subjects; /* 0: one */
	bool usual_keys; /* the subjects' are of 17 to 32 bytes, which have ways of their own (cache/plain.h), not shorter */
	uint32_t crowd; /* keys of others in the subject's bucket */
	struct value before[SUBJECTS_MAX];
	struct value after[SUBJECTS_MAX];
	int result; /* of the operation */

	/* Before anybody dies, by a client that goes on. NULL: the usual keys of others, and the subjects as they are before. */
	void (*prepare)(struct scene *scene, const struct scenario *scenario);

	/*
	 * What somebody does who is killed before, as soon as until is true. until NULL: in each of the states that he leaves on his
	 * way; then there is no telling what the subjects will be, and before counts only. NULL: nobody.
	 */
	int (*doomed)(struct actor *actor);
	uint32_t deaths; /* in so many of the states only, spread over all; 0: in each */
	bool (*until)(const struct scene *scene);

	/* By the process that is stepped, before it is. NULL: nothing. */
	void (*prelude)(struct actor *actor);

	/* What is stepped. NULL: the request, of the first subject. */
	int (*act)(struct actor *actor);
	struct write_request request;
	enum { VERSION_NONE, VERSION_CURRENT, VERSION_WRONG } expected_version;
};

/* The usual keys, and the subjects. */
void scenario_prepare(struct scene *scene, const struct scenario *scenario);

/* The request that the scenario makes of the first subject. */
struct write_request scenario_request(const struct scenario *scenario, const struct scene *scene);

/* Bodies of processes (trace_body), whose context is an actor. */
int scenario_attach(void *actor);
int scenario_act(void *actor);
int scenario_doomed(void *actor);

extern const struct scenario client_scenarios[], succession_scenarios[],
	keeper_scenarios[]; /* each ends with a name that is NULL */

#endif
