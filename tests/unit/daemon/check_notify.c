/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/message.h"
#include "daemon/notify.h"
#include "tests/support/expect.h"
#include "tests/support/suite.h"

#define PATIENCE_MS 10000

static int manager; /* the service manager's end */

/* Its socket has an abstract name, as in containers. */
static void open_manager(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size = sizeof address;
	char name[128] = "@";

	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(getsockname(manager, (struct sockaddr *)&address, &size), 0);
	memcpy(name + 1, address.sun_path + 1, size - sizeof(sa_family_t) - 1);
	setenv("NOTIFY_SOCKET", name, 1);
}

static void assert_told(const char *wanted, int wanted_fds)
{
	char text[512] = "";
	int fds[MESSAGE_FDS_MAX], count;

	ck_assert_int_gt(message_receive(manager, text, sizeof text - 1, fds, &count), 0);
	ck_assert_msg(strncmp(text, wanted, strlen(wanted)) == 0, "told \"%s\"", text);
	ck_assert_int_eq(count, wanted_fds);
	message_close(fds, count);
}

START_TEST(test_what_is_sent)
{
	int fds[] = { STDERR_FILENO, manager, STDOUT_FILENO };

	ck_assert(notify_present());
	notify_send("READY=1\nSTATUS=%s", "fine");
	assert_told("READY=1\nSTATUS=fine", 0);
	notify_reloading();
	assert_told("RELOADING=1\nMONOTONIC_USEC=", 0);
	ck_assert_int_eq(notify_store("client-5", fds, 3), 0);
	assert_told("FDSTORE=1\nFDPOLL=0\nFDNAME=client-5", 3);
	notify_forget("client-5");
	assert_told("FDSTOREREMOVE=1\nFDNAME=client-5", 0);
}
END_TEST

START_TEST(test_no_manager)
{
	int fd = STDERR_FILENO;

	close(manager); /* gone, but its name is still there */
	notify_send("READY=1");
	ck_assert_int_eq(notify_store("arena", &fd, 1), -ECONNREFUSED);
	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	ck_assert_int_eq(notify_store("arena", &fd, 1), -ENOENT);
	unsetenv("NOTIFY_SOCKET");
	ck_assert(!notify_present());
	notify_send("READY=1");
	ck_assert_int_eq(notify_store("arena", &fd, 1), -ENOENT);
}
END_TEST

/* A manager who begins to listen when somebody waits for that. */
struct late_manager {
	pid_t waiting; /* the thread */
	int heard;
};

static bool sleeps(pid_t thread)
{
	char path[64], text[256] = "", state = '?';
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
	file = fopen(path, "re");
	if (file && fgets(text, sizeof text, file) && strrchr(text, ')'))
		state = strrchr(text, ')')[2];
	if (file)
		fclose(file);
	return state == 'S';
}

static void *listen_late(void *context)
{
	struct late_manager *late = context;
	char text[512];

	for (int ms = 0; ms < PATIENCE_MS && !sleeps(late->waiting); ms++)
		poll(NULL, 0, 1);
	while (recv(manager, text, sizeof text, MSG_DONTWAIT) > 0)
		late->heard++;
	return NULL;
}

START_TEST(test_busy_manager)
{
	struct late_manager late = { .waiting = gettid() };
	int fd = STDERR_FILENO, sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), sent = 0;
	struct sockaddr_un address;
	socklen_t size = sizeof address;
	pthread_t thread;

	ck_assert_int_eq(getsockname(manager, (struct sockaddr *)&address, &size), 0);
	ck_assert_int_eq(connect(sender, (struct sockaddr *)&address, size), 0);
	while (message_send(sender, "X=1", 3, NULL, 0) == 0)
		sent++;
	ck_assert_int_eq(pthread_create(&thread, NULL, listen_late, &late), 0);
	ck_assert_int_eq(notify_store("arena", &fd, 1), 0);
	pthread_join(thread, NULL);
	ck_assert_int_ge(late.heard, sent);
	close(sender);
}
END_TEST

/* One that does not listen is waited for once. */
START_TEST(test_deaf_manager)
{
	int fd = STDERR_FILENO, result;
	char text[512];

	do
		result = notify_store("arena", &fd, 1);
	while (result == 0);
	for (int i = 0; i < 500; i++) {
		ck_assert_int_eq(result, -EAGAIN);
		result = notify_store("arena", &fd, 1);
	}
	while (recv(manager, text, sizeof text, MSG_DONTWAIT) > 0)
		;
	ck_assert_int_eq(notify_store("arena", &fd, 1), 0);
}
END_TEST

START_TEST(test_watchdog)
{
	char number[32];

	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	ck_assert_uint_eq(notify_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	ck_assert_uint_eq(notify_watchdog_ms(), 30000);
	setenv("WATCHDOG_PID", "1", 1);
	ck_assert_uint_eq(notify_watchdog_ms(), 0);
	snprintf(number, sizeof number, "%d", (int)getpid());
	setenv("WATCHDOG_PID", number, 1);
	ck_assert_uint_eq(notify_watchdog_ms(), 30000);
	setenv("WATCHDOG_USEC", "18446744073709551615", 1);
	ck_assert_uint_eq(notify_watchdog_ms(), UINT32_MAX);
}
END_TEST

static char taken[256];

static void take(void *context, const char *name, int fd)
{
	expect(context == taken);
	expect(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	sprintf(taken + strlen(taken), "%d=%s,", fd, name);
}

static void expect_handed_over(const char *pid, const char *count, const char *names, const char *wanted)
{
	char number[32];

	snprintf(number, sizeof number, "%d", (int)getpid());
	setenv("LISTEN_PID", pid ? pid : number, 1);
	setenv("LISTEN_FDS", count, 1);
	if (names)
		setenv("LISTEN_FDNAMES", names, 1);
	taken[0] = '\0';
	notify_handed_over(take, taken);
	if (strcmp(taken, wanted) != 0)
		expect_failed("\"%s\", not \"%s\"", taken, wanted);
	expect(!getenv("LISTEN_PID") && !getenv("LISTEN_FDS") && !getenv("LISTEN_FDNAMES"));
}

/* In a process of its own: libcheck speaks over one of the descriptors that are overwritten here. */
static void be_handed_over(void)
{
	for (int fd = 3; fd < 6; fd++)
		expect(dup2(STDERR_FILENO, fd) == fd);
	close(6);
	expect_handed_over(NULL, "3", "larderd.socket:arena:client-1", "3=larderd.socket,4=arena,5=client-1,");
	expect_handed_over(NULL, "2", NULL, "3=,4=,");
	expect_handed_over(NULL, "2", "one", "3=one,4=,");
	expect_handed_over(NULL, "4", "a:b:c:not-open", "3=a,4=b,5=c,");
	expect_handed_over("1", "3", "a:b:c", ""); /* meant for another process */
	expect_handed_over(NULL, "nonsense", NULL, "");
	taken[0] = '\0';
	notify_handed_over(take, taken); /* a second time there is nothing left */
	expect(taken[0] == '\0');
}

START_TEST(test_handed_over)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		be_handed_over();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("notify");

	tcase_add_checked_fixture(tests, open_manager, NULL);
	tcase_add_test(tests, test_what_is_sent);
	tcase_add_test(tests, test_no_manager);
	tcase_add_test(tests, test_busy_manager);
	tcase_add_test(tests, test_deaf_manager);
	tcase_add_test(tests, test_watchdog);
	tcase_add_test(tests, test_handed_over);
	return suite_run("daemon/notify", tests);
}
