/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <unistd.h>

#include "daemon/vault.h"
#include "tests/support/suite.h"

static struct vault_client client_of(uint64_t id)
{
	struct vault_client client = { .id = id };

	for (int i = 0; i < VAULT_FDS; i++)
		client.fds[i] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	return client;
}

static int is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(test_put_find_drop)
{
	struct vault vault = { 0 };
	struct vault_client clients[100];

	ck_assert_ptr_null(vault_find(&vault, 1));
	for (uint64_t i = 0; i < 100; i++) {
		clients[i] = client_of(i + 1);
		ck_assert_int_eq(vault_put(&vault, &clients[i]), 0);
	}
	ck_assert_uint_eq(vault.count, 100);
	ck_assert_uint_eq(vault.next_id, 101);

	/* Dropping closes that client's descriptors and nobody else's. */
	vault_drop(&vault, 50);
	vault_drop(&vault, 50);
	vault_drop(&vault, 4711);
	ck_assert_uint_eq(vault.count, 99);
	for (uint64_t i = 0; i < 100; i++) {
		ck_assert_int_eq(vault_find(&vault, i + 1) != NULL, i != 49);
		for (int fd = 0; fd < VAULT_FDS; fd++)
			ck_assert_int_eq(is_open(clients[i].fds[fd]), i != 49);
	}

	/* An id is not given out twice, whoever has left. */
	vault_drop(&vault, 100);
	ck_assert_uint_eq(vault.next_id, 101);
	vault_free(&vault);
	ck_assert_uint_eq(vault.count, 0);
	ck_assert(!is_open(clients[0].fds[0]));
}
END_TEST

START_TEST(test_missing_descriptors)
{
	struct vault vault = { 0 };
	struct vault_client client = { .id = 1, .fds = { -1, -1, -1, -1 } };

	ck_assert_int_eq(vault_put(&vault, &client), 0);
	vault_drop(&vault, 1);
	ck_assert_uint_eq(vault.count, 0);
	vault_free(&vault);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("vault");

	tcase_add_test(tests, test_put_find_drop);
	tcase_add_test(tests, test_missing_descriptors);
	return suite_run("daemon/vault", tests);
}
