/* Loads entity types from module files: see module.h. */
#include "worker/module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/limits.h"
#include "core/memory.h"
#include "worker/type_table.h"

#define SYMBOL "fabric_module"

struct modules {
    type_table_t *table; /* checks the types */
    size_t count;
    const fabric_entity_type_t *types[LIMIT_TYPES_MAX + 1]; /* ends with NULL */
};

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

static fabric_error_t find_module(const char *path, reason_t *reason,
                                  const fabric_module_t **module)
{
    void *library = NULL;
    fabric_error_t error = open_file(path, reason, &library);
    if (error != FABRIC_OK) {
        return error;
    }
    *module = (const fabric_module_t *)dlsym(library, SYMBOL);
    if (!*module) {
        return reason_set(reason, FABRIC_ERROR_INVALID_MODULE,
                          "module %s: exports no \"" SYMBOL "\"; use FABRIC_MODULE(...)", path);
    }
    if ((*module)->abi != FABRIC_MODULE_ABI) {
        return reason_set(reason, FABRIC_ERROR_INVALID_MODULE,
                          "module %s: built for module version %u, this program has %u; build it "
                          "anew",
                          path, (*module)->abi, (unsigned)FABRIC_MODULE_ABI);
    }
    if (!(*module)->types || !(*module)->types[0]) {
        return reason_set(reason, FABRIC_ERROR_INVALID_MODULE, "module %s: has no entity types",
                          path);
    }
    return FABRIC_OK;
}

modules_t *modules_new(void)
{
    modules_t *modules = (modules_t *)memory_allocate_zeroed(1, sizeof *modules);
    modules->table = type_table_new();
    return modules;
}

void modules_destroy(modules_t **modules)
{
    if (*modules) {
        type_table_destroy(&(*modules)->table);
    }
    free(*modules);
    *modules = NULL;
}

fabric_error_t modules_load(modules_t *modules, const char *path, reason_t *reason)
{
    const fabric_module_t *module = NULL;
    fabric_error_t error = find_module(path, reason, &module);
    for (size_t i = 0; error == FABRIC_OK && module->types[i]; i++) {
        reason_t detail = {""};
        if (type_table_add(modules->table, module->types[i], &detail) != FABRIC_OK) {
            error =
                reason_set(reason, FABRIC_ERROR_INVALID_MODULE, "module %s: %s", path, detail.text);
        } else {
            modules->types[modules->count++] = module->types[i];
        }
    }
    return error;
}

const fabric_entity_type_t *const *modules_types(const modules_t *modules)
{
    return modules->types;
}
