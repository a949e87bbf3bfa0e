/* Temporary folders: see folder.h. */
#include "tests/harness/folder.h"

#include <errno.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { END_BYTES = 2000 };

typedef struct file_system {
    unsigned long magic;
    const char *name;
    bool in_memory;
} file_system_t;

static const file_system_t file_systems[] = {
    {EXT4_SUPER_MAGIC, "ext4", false},
    {XFS_SUPER_MAGIC, "xfs", false},
    {BTRFS_SUPER_MAGIC, "btrfs", false},
    {F2FS_SUPER_MAGIC, "f2fs", false},
    {OVERLAYFS_SUPER_MAGIC, "overlay", false},
    {NFS_SUPER_MAGIC, "nfs", false},
    {0x2fc12fc1UL, "zfs", false},
    {0xca451a4eUL, "bcachefs", false},
    {FUSE_SUPER_MAGIC, "fuse", false},
    {TMPFS_MAGIC, "tmpfs", true},
    {RAMFS_MAGIC, "ramfs", true},
};

/* The folder that this program's file lies in. INTERNAL. */
static fabric_error_t own_folder(reason_t *reason, char path[FOLDER_PATH_SIZE])
{
    ssize_t size = readlink("/proc/self/exe", path, FOLDER_PATH_SIZE - 1);
    char *slash = NULL;
    if (size > 0) {
        path[size] = '\0';
        slash = strrchr(path, '/');
    }
    if (!slash || size == FOLDER_PATH_SIZE - 1) {
        return reason_set(reason, FABRIC_ERROR_INTERNAL, "/proc/self/exe cannot be read");
    }
    *slash = '\0';
    return FABRIC_OK;
}

fabric_error_t folder_of_programs(reason_t *reason, char path[FOLDER_PATH_SIZE])
{
    const char *build = getenv("FABRIC_BUILD");
    if (!build) {
        return own_folder(reason, path);
    }
    return snprintf(path, FOLDER_PATH_SIZE, "%s/bin", build) < FOLDER_PATH_SIZE
               ? FABRIC_OK
               : reason_set(reason, FABRIC_ERROR_INTERNAL, "FABRIC_BUILD is too long");
}

static const file_system_t *find(unsigned long magic)
{
    for (size_t i = 0; i < sizeof file_systems / sizeof file_systems[0]; i++) {
        if (file_systems[i].magic == magic) {
            return &file_systems[i];
        }
    }
    return NULL;
}

fabric_error_t folder_file_system(const char *path, char *name, size_t name_size)
{
    struct statfs facts;
    if (statfs(path, &facts) != 0) {
        return FABRIC_ERROR_NOT_FOUND;
    }
    unsigned long magic = (unsigned long)facts.f_type & 0xffffffffUL;
    const file_system_t *known = find(magic);
    if (known) {
        snprintf(name, name_size, "%s", known->name);
    } else {
        snprintf(name, name_size, "0x%lx", magic);
    }
    return FABRIC_OK;
}

static bool is_disk(const char *path)
{
    struct statfs facts;
    if (!path || statfs(path, &facts) != 0) {
        return false;
    }
    const file_system_t *known = find((unsigned long)facts.f_type & 0xffffffffUL);
    return !known || !known->in_memory;
}

fabric_error_t folder_make(reason_t *reason, char path[FOLDER_PATH_SIZE])
{
    char program[FOLDER_PATH_SIZE];
    char build[FOLDER_PATH_SIZE + 4];
    fabric_error_t error = own_folder(reason, program);
    if (error) {
        return error;
    }
    snprintf(build, sizeof build, "%s/..", program);
    char *resolved = realpath(build, NULL);
    const char *const parents[] = {getenv("TMPDIR"), resolved, "/var/tmp"};
    bool made = false;
    for (size_t i = 0; i < sizeof parents / sizeof parents[0] && !made; i++) {
        if (is_disk(parents[i]) && strlen(parents[i]) < FOLDER_PATH_SIZE - 32) {
            snprintf(path, FOLDER_PATH_SIZE, "%s/fabric-bench-XXXXXX", parents[i]);
            made = mkdtemp(path) != NULL;
        }
    }
    free(resolved);
    if (!made) {
        path[0] = '\0';
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "no folder on a disk can be written to: set TMPDIR to one");
    }
    return FABRIC_OK;
}

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *where)
{
    (void)facts;
    (void)type;
    (void)where;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

void folder_remove(const char *path)
{
    if (path[0]) {
        nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
}

void folder_print_end(const char *folder, const char *file, FILE *to)
{
    char path[FOLDER_PATH_SIZE + 64];
    char text[END_BYTES + 1];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *log = fopen(path, "r");
    if (!log) {
        return;
    }
    if (fseek(log, -END_BYTES, SEEK_END) != 0) {
        rewind(log);
    }
    size_t size = fread(text, 1, END_BYTES, log);
    fclose(log);
    if (size > 0) {
        fprintf(to, "---- end of %s\n%.*s----\n", file, (int)size, text);
    }
}

bool folder_file_contains(const char *folder, const char *file, const char *text)
{
    char path[FOLDER_PATH_SIZE + 64];
    char line[1024];
    bool found = false;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *log = fopen(path, "r");
    while (log && !found && fgets(line, sizeof line, log)) {
        found = strstr(line, text) != NULL;
    }
    if (log) {
        fclose(log);
    }
    return found;
}
