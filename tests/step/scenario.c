/* SPDX-License-Identifier: MIT */
#include "tests/step/scenario.h"

#define USUAL_KEYS 40

void scenario_prepare(struct scene *scene, const struct scenario *scenario)
{
	scene_fill(scene, USUAL_KEYS);
	for (uint32_t i = 0; i < scene->subject_count; i++)
		scene_put(scene, i, &scenario->before[i]);
	if (scenario->crowd)
		scene_crowd(scene, scenario->crowd);
}

int scenario_attach(void *context)
{
	struct actor *actor = context;

	stage_attach(&actor->scene->stage, actor->scenario->role, &actor->client);
	if (actor->scenario->prelude)
		actor->scenario->prelude(actor);
	return 0;
}

struct write_request scenario_request(const struct scenario *scenario, const struct scene *scene)
{
	struct write_request request = scenario->request;

	request.key = scene->subjects[0].text;
	request.key_size = scene->subjects[0].size;
	if (request.value)
		request.value_size = strlen(request.value);
	if (scenario->expected_version)
		request.expected_version = scene->version + (scenario->expected_version == VERSION_WRONG);
	return request;
}

static int write_subject(struct actor *actor)
{
	struct write_request request = scenario_request(actor->scenario, actor->scene);
	struct write_result result;

	return cache_write(&actor->client.thread, &request, &result);
}

int scenario_act(void *context)
{
	struct actor *actor = context;

	return actor->scenario->act ? actor->scenario->act(actor) : write_subject(actor);
}

int scenario_doomed(void *context)
{
	struct actor *actor = context;

	return actor->scenario->doomed(actor);
}
