/* Loads entity types from module files: see module.h. */
#include "worker/module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/limits.h"

#define SYMBOL "fabric_module"

/* A path without a slash would be looked up among the system's libraries. */
static void local_path(const char *path, char *local, size_t size)
{
    snprintf(local, size, "%s%s", strchr(path, '/') ? "" : "./", path);
}

static fabric_error_t open_file(const char *path, reason_t *reason, void **library)
{
    char local[4096];
    if (strlen(path) >= sizeof local - 2) {
        return reason_set(reason, FABRIC_ERROR_INVALID_MODULE, "module path of %zu bytes: too long",
                          strlen(path));
    }
    local_path(path, local, sizeof local);
    struct stat status;
    if (stat(local, &status) != 0 || access(local, R_OK) != 0) {
        return reason_set(reason, FABRIC_ERROR_INVALID_MODULE,
                          "module %s: there is no such file, or it cannot be read", path);
    }
    if (!S_ISREG(status.st_mode)) { /* a pipe would be waited for, without end */
        return reason_set(reason, FABRIC_ERROR_INVALID_MODULE, "module %s: is no file", path);
    }
    *library = dlopen(local, RTLD_NOW | RTLD_LOCAL);
    if (!*library) {
        return reason_set(reason, FABRIC_ERROR_INVALID_MODULE, "module %s: %s", path, dlerror());
    }
    return FABRIC_OK;
}

fabric_error_t module_load(const char *path, fabric_worker_t *worker, reason_t *reason)
{
    void *library = NULL;
    fabric_error_t error = open_file(path, reason, &library);
    if (error != FABRIC_OK) {
        return error;
    }
    const fabric_module_t *module = (const fabric_module_t *)dlsym(library, SYMBOL);
    if (!module) {
        return reason_set(reason, FABRIC_ERROR_INVALID_MODULE,
                          "module %s: exports no \"" SYMBOL "\"; use FABRIC_MODULE(...)", path);
    }
    if (module->abi != FABRIC_MODULE_ABI) {
        return reason_set(reason, FABRIC_ERROR_INVALID_MODULE,
                          "module %s: built for module version %u, this program has %u; build it "
                          "anew",
                          path, module->abi, (unsigned)FABRIC_MODULE_ABI);
    }
    if (!module->types || !module->types[0]) {
        return reason_set(reason, FABRIC_ERROR_INVALID_MODULE, "module %s: has no entity types",
                          path);
    }
    for (size_t i = 0; module->types[i]; i++) {
        if (fabric_worker_add(worker, module->types[i]) != FABRIC_OK) {
            return reason_set(reason, FABRIC_ERROR_INVALID_MODULE,
                              "module %s: entity type %zu (%s) breaks a rule of <fabric/worker.h>, "
                              "or there are two of its name",
                              path, i + 1,
                              module->types[i]->name ? module->types[i]->name : "without a name");
        }
    }
    return FABRIC_OK;
}
