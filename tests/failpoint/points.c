/* SPDX-License-Identifier: MIT */
#include "tests/failpoint/points.h"

/* A writer that stops here leaves an intent for others to meet. */
#define INTENT "publish.intent_set:3000:stop"

#define PASSES(who, where, when) .role = who, .scene = where, .nth = when

/* A keeper that stops here leaves a bucket in the middle of its split, or no memory, for the writer in question to meet. */
#define STOPPED_AT(place) .keeper = place ":1:stop"

/* A keeper that dies here leaves something to adopt. */
#define KILLED_AT(place) .keeper = place ":1:kill"

/* clang-format off */
const struct point points[] = {
	/* sections and pins */
	{ "epoch.entered", PASSES(READER, ROOMY, 100) },
	{ "epoch.entered", PASSES(WRITER, ROOMY, 100) },
	{ "epoch.entered", PASSES(READER, TIGHT, 1000) },
	{ "epoch.entered", PASSES(WRITER, TIGHT, 1000) },
	{ "epoch.entered", PASSES(KEEPER, REMOTE, 1000) },
	{ "epoch.leaving", PASSES(READER, ROOMY, 100) },
	{ "epoch.leaving", PASSES(WRITER, ROOMY, 100) },
	{ "epoch.leaving", PASSES(KEEPER, REMOTE, 1000) },
	{ "pin.set", PASSES(WRITER, ROOMY, 100) },
	{ "pin.set", PASSES(WRITER, TIGHT, 1000) },
	{ "pin.set", PASSES(KEEPER, REMOTE, 1000) },
	{ "pin.refused", PASSES(LINGERER, TIGHT, 1) },
	{ "pin.releasing", PASSES(WRITER, ROOMY, 100) },
	{ "pin.releasing", PASSES(KEEPER, REMOTE, 1000) },
	{ "pin.index_set", PASSES(READER, ROOMY, 10) },
	{ "pin.index_set", PASSES(WRITER, ROOMY, 100) },
	{ "pin.index_set", PASSES(WRITER, CHURN, 1000) },
	{ "pin.index_set", PASSES(WRITER, TIGHT, 1000) },
	{ "pin.index_set", PASSES(KEEPER, REMOTE, 1000) },
	{ "pin.index_releasing", PASSES(READER, ROOMY, 10) },
	{ "pin.index_releasing", PASSES(WRITER, CHURN, 1000) },
	{ "pin.index_releasing", PASSES(KEEPER, REMOTE, 1000) },
	{ "view.pinned", PASSES(READER, ROOMY, 10) },
	{ "view.pinned", PASSES(READER, TIGHT, 10) },
	{ "view.releasing", PASSES(READER, ROOMY, 10) },

	/* memory */
	{ "segment.taken", PASSES(WRITER, ROOMY, 1) },
	{ "segment.taken", PASSES(WRITER, TIGHT, 1) },
	{ "segment.taken", PASSES(KEEPER, ROOMY, 1) },
	{ "segment.taken", PASSES(KEEPER, REMOTE, 2) },
	{ "segment.room_taken", PASSES(WRITER, SIZED, 1) },
	{ "segment.dated", PASSES(WRITER, ROOMY, 1) },
	{ "segment.dated", PASSES(KEEPER, ROOMY, 1) },
	{ "segment.unnamed", PASSES(WRITER, ROOMY, 1) },
	{ "segment.unnamed", PASSES(KEEPER, REMOTE, 2) },
	{ "segment.chunks_taken", PASSES(WRITER, ROOMY, 1) },
	{ "segment.chunks_taken", PASSES(KEEPER, REMOTE, 2) },
	{ "segment.bound_raised", PASSES(WRITER, ROOMY, 1) },
	{ "segment.bound_raised", PASSES(KEEPER, REMOTE, 2) },
	{ "run.pinned", PASSES(WRITER, ROOMY, 2) },
	{ "run.pinned", PASSES(WRITER, TIGHT, 10) },
	{ "run.pinned", PASSES(KEEPER, REMOTE, 2) },
	{ "run.ended", PASSES(WRITER, ROOMY, 2) },
	{ "run.ended", PASSES(KEEPER, REMOTE, 2) },
	{ "run.begun", PASSES(WRITER, ROOMY, 2) },
	{ "run.begun", PASSES(KEEPER, REMOTE, 2) },
	{ "allocate.pinned", PASSES(WRITER, ROOMY, 100) },
	{ "allocate.pinned", PASSES(KEEPER, REMOTE, 100) },
	{ "allocate.reserved", PASSES(WRITER, ROOMY, 100) },
	{ "allocate.reserved", PASSES(KEEPER, REMOTE, 100) },
	{ "allocate.cancelling", PASSES(WRITER, ROOMY, 1) },
	{ "allocate.cancelling", PASSES(KEEPER, REMOTE, 1) },
	{ "allocate.cancelled", PASSES(WRITER, ROOMY, 1) },
	{ "allocate.cancelled", PASSES(KEEPER, REMOTE, 1) },
	{ "extent.taken", PASSES(WRITER, LARGE, 2) },
	{ "extent.pinned", PASSES(WRITER, LARGE, 2) },
	{ "large.filled", PASSES(WRITER, LARGE, 2) },
	{ "object.begun", PASSES(WRITER, ROOMY, 100) },
	{ "object.begun", PASSES(KEEPER, REMOTE, 100) },
	{ "object.written", PASSES(WRITER, ROOMY, 100) },
	{ "object.written", PASSES(WRITER, TIGHT, 1000) },
	{ "object.written", PASSES(KEEPER, REMOTE, 100) },
	{ "object.completed", PASSES(WRITER, ROOMY, 100) },
	{ "object.completed", PASSES(WRITER, TIGHT, 1000) },
	{ "object.completed", PASSES(WRITER, LARGE, 300) },
	{ "object.completed", PASSES(KEEPER, REMOTE, 100) },

	/* publishing */
	{ "write.chain_read", PASSES(WRITER, ROOMY, 100) },
	{ "write.chain_read", PASSES(KEEPER, REMOTE, 100) },
	{ "write.committed", PASSES(WRITER, ROOMY, 100) },
	{ "write.committed", PASSES(KEEPER, REMOTE, 100) },
	{ "usage.claimed", PASSES(READER, ROOMY, 1) },
	{ "usage.claimed", PASSES(WRITER, ROOMY, 1) },
	{ "usage.claimed", PASSES(KEEPER, REMOTE, 1) },
	{ "write.waiting", PASSES(WRITER, TIGHT, 1), STOPPED_AT("reclaim.condemned") },
	{ "replace.written", PASSES(WRITER, ROOMY, 100) },
	{ "replace.written", PASSES(WRITER, TIGHT, 1000) },
	{ "replace.written", PASSES(KEEPER, REMOTE, 100) },
	{ "replace.committed", PASSES(WRITER, ROOMY, 100) },
	{ "replace.committed", PASSES(KEEPER, REMOTE, 100) },
	{ "publish.replaced", PASSES(WRITER, ROOMY, 10) },
	{ "publish.replaced", PASSES(KEEPER, REMOTE, 10) },
	{ "publish.emptied", PASSES(WRITER, ROOMY, 10) },
	{ "publish.emptied", PASSES(KEEPER, ROOMY, 10) },
	{ "publish.emptied", PASSES(KEEPER, REMOTE, 10) },
	{ "publish.intent_set", PASSES(WRITER, ROOMY, 1000) },
	{ "publish.intent_set", PASSES(WRITER, CHURN, 1000) },
	{ "publish.intent_set", PASSES(WRITER, TIGHT, 1000) },
	{ "publish.intent_set", PASSES(KEEPER, REMOTE, 1000) },
	{ "publish.intent_placed", PASSES(WRITER, ROOMY, 1000) },
	{ "publish.intent_placed", PASSES(KEEPER, REMOTE, 1000) },
	{ "publish.intent_cleared", PASSES(WRITER, ROOMY, 1000) },
	{ "publish.intent_cleared", PASSES(KEEPER, REMOTE, 1000) },
	{ "publish.intent_met", PASSES(WRITER, ROOMY, 1), .accomplice = INTENT, .accomplice_role = WRITER },
	{ "publish.intent_met", PASSES(KEEPER, TIGHT, 1), .accomplice = INTENT, .accomplice_role = CHURNER },
	{ "overflow.claimed", PASSES(WRITER, ROOMY, 10) },
	{ "overflow.claimed", PASSES(KEEPER, ROOMY, 10) },
	{ "overflow.claimed", PASSES(KEEPER, REMOTE, 10) },
	{ "overflow.slot_sealed", PASSES(WRITER, ROOMY, 10) },
	{ "overflow.slot_sealed", PASSES(KEEPER, ROOMY, 10) },
	{ "overflow.mirrored", PASSES(WRITER, ROOMY, 10) },
	{ "overflow.mirrored", PASSES(KEEPER, REMOTE, 10) },
	{ "overflow.linked", PASSES(WRITER, ROOMY, 10) },
	{ "overflow.linked", PASSES(KEEPER, REMOTE, 10) },
	{ "counter.added", PASSES(WRITER, ROOMY, 10) },
	{ "counter.added", PASSES(KEEPER, REMOTE, 10) },
	{ "counter.frozen", PASSES(WRITER, ROOMY, 1) },
	{ "counter.frozen", PASSES(KEEPER, REMOTE, 1) },

	/* growth: by the keeper, and by a writer who meets a bucket that a stopped keeper left */
	{ "split.child_taken", PASSES(KEEPER, ROOMY, 1) },
	{ "split.child_taken", PASSES(KEEPER, CHURN, 1) },
	{ "split.child_cleared", PASSES(KEEPER, ROOMY, 2) },
	{ "split.child_cleared", PASSES(KEEPER, CHURN, 1) },
	{ "split.children_ready", PASSES(KEEPER, ROOMY, 1) },
	{ "split.children_ready", PASSES(KEEPER, CHURN, 1) },
	{ "split.begun", PASSES(KEEPER, ROOMY, 1) },
	{ "split.begun", PASSES(KEEPER, CHURN, 1) },
	{ "split.frozen", PASSES(KEEPER, ROOMY, 100) },
	{ "split.frozen", PASSES(KEEPER, CHURN, 100) },
	{ "split.slot_frozen", PASSES(KEEPER, ROOMY, 703) },
	{ "split.slot_frozen", PASSES(KEEPER, CHURN, 703) },
	{ "split.slot_frozen", PASSES(WRITER, ROOMY, 3), STOPPED_AT("split.frozen") },
	{ "split.slots_frozen", PASSES(KEEPER, ROOMY, 100) },
	{ "split.slots_frozen", PASSES(KEEPER, CHURN, 100) },
	{ "split.slots_frozen", PASSES(WRITER, ROOMY, 1), STOPPED_AT("split.frozen") },
	{ "split.child_pinned", PASSES(WRITER, ROOMY, 1), STOPPED_AT("split.slots_frozen") },
	{ "split.placed", PASSES(KEEPER, ROOMY, 300) },
	{ "split.placed", PASSES(KEEPER, CHURN, 300) },
	{ "split.placed", PASSES(WRITER, ROOMY, 2), STOPPED_AT("split.slots_frozen") },
	{ "split.linking", PASSES(KEEPER, ROOMY, 100) },
	{ "split.linking", PASSES(KEEPER, CHURN, 100) },
	{ "split.linking", PASSES(WRITER, ROOMY, 1), STOPPED_AT("overflow.claimed") },
	{ "split.sealed", PASSES(KEEPER, ROOMY, 100) },
	{ "split.sealed", PASSES(KEEPER, CHURN, 100) },
	{ "split.sealed", PASSES(WRITER, ROOMY, 1), STOPPED_AT("split.slots_frozen") },
	{ "split.low_filled", PASSES(KEEPER, ROOMY, 100) },
	{ "split.low_filled", PASSES(KEEPER, CHURN, 100) },
	{ "split.low_filled", PASSES(WRITER, ROOMY, 1), STOPPED_AT("split.slots_frozen") },
	{ "split.moved", PASSES(KEEPER, ROOMY, 100) },
	{ "split.moved", PASSES(KEEPER, CHURN, 100) },
	{ "split.moved", PASSES(WRITER, ROOMY, 1), STOPPED_AT("split.slots_frozen") },
	{ "split.directory", PASSES(KEEPER, ROOMY, 2) },
	{ "split.directory", PASSES(KEEPER, CHURN, 2) },
	{ "split.retiring", PASSES(KEEPER, ROOMY, 1) },
	{ "split.retiring", PASSES(KEEPER, CHURN, 1) },

	/* shrinking: the same, and a writer who comes by the other parent */
	{ "merge.child_taken", PASSES(KEEPER, EBB, 1) },
	{ "merge.child_ready", PASSES(KEEPER, EBB, 1) },
	{ "merge.named_once", PASSES(KEEPER, EBB, 1) },
	{ "merge.begun", PASSES(KEEPER, EBB, 1) },
	{ "merge.sibling_pinned", PASSES(KEEPER, EBB, 100) },
	{ "merge.sibling_pinned", PASSES(WRITER, EBB, 1), STOPPED_AT("merge.sibling_pinned") },
	{ "merge.leaving", PASSES(KEEPER, EBB, 100) },
	{ "merge.leaving", PASSES(WRITER, EBB, 1), STOPPED_AT("merge.sibling_pinned") },
	{ "merge.resumed", PASSES(KEEPER, EBB, 1), KILLED_AT("merge.named_once") },

	/* moving what is in use */
	{ "object.begun", PASSES(KEEPER, TIGHT, 20) },
	{ "object.completed", PASSES(KEEPER, TIGHT, 20) },
	{ "allocate.reserved", PASSES(KEEPER, TIGHT, 20) },
	{ "publish.replaced", PASSES(KEEPER, TIGHT, 20) },
	{ "evacuate.moved", PASSES(KEEPER, TIGHT, 20) },
	{ "reserve.dated", PASSES(KEEPER, TIGHT, 1) },
	{ "reserve.opened", PASSES(KEEPER, TIGHT, 1) },

	/* how memory comes back */
	{ "reclaim.condemned", PASSES(KEEPER, ROOMY, 1) },
	{ "reclaim.condemned", PASSES(KEEPER, TIGHT, 5) },
	{ "reclaim.drained", PASSES(KEEPER, ROOMY, 1) },
	{ "reclaim.drained", PASSES(KEEPER, TIGHT, 5) },
	{ "reclaim.reopened", PASSES(KEEPER, TIGHT, 1), .accomplice = "allocate.pinned:2:stop", .accomplice_role = LINGERER, .resumed = true },
	{ "reclaim.unlinked", PASSES(KEEPER, ROOMY, 1) },
	{ "reclaim.unlinked", PASSES(KEEPER, TIGHT, 5) },
	{ "grace.begun", PASSES(KEEPER, ROOMY, 1) },
	{ "grace.begun", PASSES(KEEPER, TIGHT, 5) },
	{ "grace.revoked", PASSES(KEEPER, TIGHT, 1), .accomplice = "epoch.entered:500:stop", .accomplice_role = READER },
	{ "reclaim.ordered", PASSES(KEEPER, ROOMY, 1) },
	{ "reclaim.ordered", PASSES(KEEPER, TIGHT, 5) },
	{ "reclaim.retiring", PASSES(KEEPER, ROOMY, 1) },
	{ "reclaim.retiring", PASSES(KEEPER, TIGHT, 5) },
	{ "reclaim.retired", PASSES(KEEPER, ROOMY, 1) },
	{ "reclaim.retired", PASSES(KEEPER, TIGHT, 5) },
	{ "recycle.chunk_cleared", PASSES(KEEPER, ROOMY, 3) },
	{ "recycle.chunk_cleared", PASSES(KEEPER, TIGHT, 18) },
	{ "recycle.cleared", PASSES(KEEPER, ROOMY, 1) },
	{ "recycle.cleared", PASSES(KEEPER, TIGHT, 5) },
	{ "recycle.freed", PASSES(KEEPER, ROOMY, 1) },
	{ "recycle.freed", PASSES(KEEPER, TIGHT, 5) },
	{ "reclaim.index_retired", PASSES(KEEPER, ROOMY, 1) },
	{ "reclaim.index_retired", PASSES(KEEPER, CHURN, 1) },
	{ "reclaim.telling", PASSES(KEEPER, ROOMY, 1) },
	{ "reclaim.telling", PASSES(KEEPER, TIGHT, 5) },
	{ "reclaim.waking", PASSES(KEEPER, ROOMY, 1) },
	{ "reclaim.waking", PASSES(KEEPER, TIGHT, 5) },

	{ "extents.claimed", PASSES(KEEPER, LARGE, 3) },
	{ "extent.continued", PASSES(KEEPER, LARGE, 3) },
	{ "extent.offered", PASSES(KEEPER, LARGE, 2) },
	{ "reclaim.extent_retired", PASSES(KEEPER, LARGE, 3) },

	/* another size */
	{ "resize.wanted", PASSES(KEEPER, SIZED, 3) },
	{ "resize.configuring", PASSES(KEEPER, SIZED, 2) },
	{ "resize.allocated", PASSES(KEEPER, SIZED, 2) },
	{ "segment.joined", PASSES(KEEPER, SIZED, 7) },
	{ "segment.left", PASSES(KEEPER, SIZED, 3) },
	{ "recycle.absent", PASSES(KEEPER, SIZED, 5) },
	{ "resize.released", PASSES(KEEPER, SIZED, 2) },

	/* a keeper that takes over from one that was killed */
	{ "adopt.beginning", PASSES(KEEPER, ROOMY, 1), KILLED_AT("reclaim.drained") },
	{ "adopt.reopened", PASSES(KEEPER, ROOMY, 1), KILLED_AT("reclaim.unlinked") },
	{ "adopt.reopened", PASSES(KEEPER, TIGHT, 1), KILLED_AT("publish.emptied") },
	{ "adopt.retired", PASSES(KEEPER, ROOMY, 1), KILLED_AT("recycle.cleared") },
	{ "adopt.retired", PASSES(KEEPER, CHURN, 1), KILLED_AT("reclaim.index_retired") },
	{ "adopt.orphan", PASSES(KEEPER, ROOMY, 2), KILLED_AT("split.children_ready") },
	{ "adopt.orphan", PASSES(KEEPER, CHURN, 1), KILLED_AT("split.children_ready") },
	{ "adopt.orphan", PASSES(KEEPER, EBB, 1), KILLED_AT("merge.child_ready") },
	{ "extents.retired", PASSES(KEEPER, LARGE, 1), KILLED_AT("extent.continued") },
	{ "client.resumed", PASSES(KEEPER, ROOMY, 2), KILLED_AT("split.placed") },
	{ "keeper.ready", PASSES(KEEPER, ROOMY, 1), KILLED_AT("split.moved") },

	/* clients that come and go */
	{ "attach.connected", PASSES(ATTACHER, ROOMY, 2) },
	{ "attach.hello_sent", PASSES(ATTACHER, ROOMY, 2) },
	{ "attach.welcomed", PASSES(ATTACHER, ROOMY, 2) },
	{ "attach.mapped", PASSES(ATTACHER, ROOMY, 2) },
	{ "attach.line_taken", PASSES(ATTACHER, ROOMY, 2) },
	{ "detach.unmapped", PASSES(ATTACHER, ROOMY, 2) },
	{ "detach.hung_up", PASSES(ATTACHER, ROOMY, 2) },
	{ "client.mapped", PASSES(KEEPER, ROOMY, 5) },
	{ "client.deposited", PASSES(KEEPER, ROOMY, 5) },
	{ "client.kept", PASSES(KEEPER, ROOMY, 5) },
	{ "client.welcomed", PASSES(KEEPER, ROOMY, 5) },
	{ "client.dead", PASSES(KEEPER, ROOMY, 2) },
	{ "client.forgotten", PASSES(KEEPER, ROOMY, 2) },
	{ "client.destroyed", PASSES(KEEPER, ROOMY, 2) },

	/* writes for clients that may not */
	{ "remote.sent", PASSES(WRITER, REMOTE, 100) },
	{ "request.noted", PASSES(KEEPER, REMOTE, 1000) },
	{ "request.taken", PASSES(KEEPER, REMOTE, 1000) },
	{ "request.done", PASSES(KEEPER, REMOTE, 1000) },
	{ "request.answered", PASSES(KEEPER, REMOTE, 1000) },
};
/* clang-format on */

const size_t point_count = sizeof points / sizeof points[0];

const char *scene_name(enum scene scene)
{
	static const char *const names[SCENES] = { "roomy", "churn", "ebb", "tight", "large", "remote", "sized" };

	return names[scene];
}

const char *role_name(enum role role)
{
	static const char *const names[ROLES] = { "reader",   "writer", "churner", "lingerer",
		                                  "attacher", "sizer",  "keeper" };

	return names[role];
}
