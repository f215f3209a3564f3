/* SPDX-License-Identifier: MIT */
#include "tests/support/actor.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/expect.h"

static void read_value(larder *cache, const struct act *act, size_t key_size, struct effect *effect)
{
	struct larder_view view;

	if (act->verb == GET) {
		effect->result = larder_get(cache, act->key, key_size, effect->text, sizeof effect->text - 1,
		                            &effect->item);
		return;
	}
	effect->result = larder_view(cache, act->key, key_size, &view);
	if (effect->result != 0)
		return;
	expect(view.size < sizeof effect->text && view.size == view.item.value_size);
	memcpy(effect->text, view.data, view.size);
	effect->item = view.item;
	larder_release(cache, &view);
	expect(view.data == NULL);
}

static struct effect act_now(larder *cache, const struct act *act)
{
	struct effect effect = { .version = UINT64_MAX, .number = -1 };
	struct larder_set_options set = LARDER_SET_OPTIONS;
	struct larder_incr_options incr = LARDER_INCR_OPTIONS;
	size_t key_size = strlen(act->key), value_size = strlen(act->value);

	memset(&effect.item, 0xff, sizeof effect.item);
	set.ttl_ms = incr.ttl_ms = act->ttl_ms;
	set.flags = act->flags;
	incr.flags = act->create ? LARDER_INCR_CREATE : 0;
	incr.initial = act->initial;
	switch (act->verb) {
	case GET:
	case VIEW:
		read_value(cache, act, key_size, &effect);
		break;
	case SET:
		effect.result = larder_set(cache, act->key, key_size, act->value, value_size, &set, &effect.version);
		break;
	case ADD:
		effect.result = larder_add(cache, act->key, key_size, act->value, value_size, &set, &effect.version);
		break;
	case REPLACE:
		effect.result = larder_replace(cache, act->key, key_size, act->value, value_size, &set,
		                               &effect.version);
		break;
	case CAS:
		effect.result = larder_cas(cache, act->key, key_size, act->value, value_size, act->expected, &set,
		                           &effect.version);
		break;
	case APPEND:
		effect.result = larder_append(cache, act->key, key_size, act->value, value_size, &effect.version);
		break;
	case TOUCH:
		effect.result = larder_touch(cache, act->key, key_size, act->ttl_ms, &effect.version);
		break;
	case DELETE:
		effect.result = larder_delete(cache, act->key, key_size, act->expected);
		break;
	case INCR:
		effect.result = larder_incr(cache, act->key, key_size, act->delta, &incr, &effect.number);
		break;
	case DECR:
		effect.result = larder_decr(cache, act->key, key_size, act->delta, &incr, &effect.number);
		break;
	}
	return effect;
}

void actor_start(struct actor *actor, const struct server *server, bool elsewhere)
{
	struct act act;
	int ends[2];

	*actor = (struct actor){ .channel = -1 };
	if (!elsewhere) {
		actor->cache = client_open(server);
		return;
	}
	expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	actor->pid = fork();
	expect(actor->pid >= 0);
	if (actor->pid == 0) {
		larder *cache;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		cache = client_open(server);
		while (recv(ends[1], &act, sizeof act, 0) == sizeof act) {
			struct effect effect = act_now(cache, &act);

			expect(send(ends[1], &effect, sizeof effect, MSG_NOSIGNAL) == sizeof effect);
		}
		larder_close(cache);
		_exit(0);
	}
	close(ends[1]);
	actor->channel = ends[0];
}

void actor_stop(struct actor *actor)
{
	int status;

	if (actor->cache != NULL) {
		larder_close(actor->cache);
		return;
	}
	close(actor->channel);
	expect(waitpid(actor->pid, &status, 0) == actor->pid);
	expect_equal(status, 0);
}

struct effect actor_do(struct actor *actor, const struct act *act)
{
	struct effect effect;

	if (actor->cache != NULL)
		return act_now(actor->cache, act);
	expect(send(actor->channel, act, sizeof *act, MSG_NOSIGNAL) == sizeof *act);
	expect(recv(actor->channel, &effect, sizeof effect, 0) == sizeof effect);
	return effect;
}
