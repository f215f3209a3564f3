/* SPDX-License-Identifier: MIT */
/* What is known about a failure: who, when, the journal, and the key's bucket, objects and segments. */
#ifndef LARDER_TORTURE_FORENSIC_H
#define LARDER_TORTURE_FORENSIC_H

#include "tests/torture/board.h"

/* Prints a report on all failures and saves the arena beside larderd's log, in a directory that stays. */
void forensic_report(struct board *board);

#endif
