/* SPDX-License-Identifier: MIT */
#include "daemon/debt.h"

#include <stddef.h>
#include <sys/mman.h>

#define DEBTS_MAX 16384 /* a client is owed one reply at a time, and there are no more clients than this */

struct debt *debt_book(void)
{
	void *book = mmap(NULL, DEBTS_MAX * sizeof(struct debt), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	                  0);

	return book == MAP_FAILED ? NULL : book;
}

struct debt *debt_find(struct debt *book, uint64_t client_id)
{
	for (int i = 0; i < DEBTS_MAX; i++)
		if (load_relaxed(&book[i].client_id) == client_id)
			return &book[i];
	return NULL;
}

struct debt *debt_incur(struct debt *book, uint64_t client_id, uint64_t request_id)
{
	struct debt *debt = debt_find(book, 0); /* few are open at a time, so this is one of the first */

	if (!debt)
		return NULL;
	store_relaxed(&debt->request_id, request_id);
	compiler_barrier(); /* who is killed here leaves no debt with the number of another one */
	store_relaxed(&debt->client_id, client_id);
	return debt;
}

void debt_settle(struct debt *debt)
{
	if (debt)
		store_relaxed(&debt->client_id, 0);
}
