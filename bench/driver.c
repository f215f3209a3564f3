/* SPDX-License-Identifier: MIT */
#include "bench/driver.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct driver *const built_in[] = {
	&driver_larder_shared, &driver_larder_arenas, &driver_larder_read_only,
	&driver_plain,         &driver_inlined,       &driver_minimal,
	&driver_memcached,     &driver_redis,         &driver_apcu,
};

const struct driver *driver_find(const char *name, char why[DRIVER_WHY_BYTES])
{
	char self[PATH_MAX], path[PATH_MAX + 64];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	const struct driver *driver;
	void *library;
	char *slash;

	for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++)
		if (strcmp(built_in[i]->name, name) == 0)
			return built_in[i];

	self[length > 0 ? length : 0] = '\0';
	slash = strrchr(self, '/');
	snprintf(path, sizeof path, "%.*s/larder-bench-drivers/%s.so", slash ? (int)(slash - self) : 0, self, name);
	if (access(path, R_OK) != 0) {
		snprintf(why, DRIVER_WHY_BYTES,
		         "was not built: its library is not installed (make bench-deps, then make bench)");
		return NULL;
	}
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	driver = library ? dlsym(library, DRIVER_SYMBOL) : NULL;
	if (!driver)
		snprintf(why, DRIVER_WHY_BYTES, "%s", dlerror());
	return driver;
}
