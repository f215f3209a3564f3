/* SPDX-License-Identifier: MIT */
/*
 * Tenants: users, or groups of them, of whose memory others cannot have it all (guarantee), and who cannot have it all (limit).
 *
 * Each data segment belongs to one tenant. Memory is taken from whoever is furthest above its guarantee, so never from one that is
 * at or below it while another is above; and who is at its limit makes its own room. All this binds clients that keep to it: one
 * that may write into the arena can say that it is somebody else, or write over everybody.
 */
#ifndef LARDER_DAEMON_TENANT_H
#define LARDER_DAEMON_TENANT_H

#include "daemon/config.h"
#include "daemon/survey.h"

#define TENANT_NONE UINT32_MAX

struct tenants {
	const struct arena *arena;
	struct {
		enum tenant_kind kind;
		uint32_t id;
		uint32_t guarantee, limit; /* segments; limit 0: none */
	} tenants[TENANTS];
};

/* Finds who has which number in an arena: data that an earlier keeper kept for somebody is his under the next, too. */
void tenants_init(struct tenants *tenants, const struct arena *arena);

/* The quotas of the configuration. Who had a number keeps it. */
void tenants_configure(struct tenants *tenants, const struct config_quotas *quotas);

/* The number of the tenant of a configured quota; NULL: of those for whom there is none. */
uint32_t tenants_number_of(const struct tenants *tenants, const struct config_quota *quota);

/* Who has to give memory; TENANT_NONE: nobody has any that could be taken. */
uint32_t tenants_victim(const struct tenants *tenants, const struct survey *survey);

/* Whether what a tenant has is within its guarantee. */
bool tenants_protected(const struct tenants *tenants, uint32_t tenant);

/* Whether a tenant has so much that its own must go, for it would soon be at its limit. */
bool tenants_overdrawn(const struct tenants *tenants, const struct survey *survey, uint32_t tenant);

/* Tells writers how much room each tenant has, and everybody what each has. */
void tenants_tell(const struct tenants *tenants, const struct survey *survey);

#endif
