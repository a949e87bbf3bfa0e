/* Facts about processes: see process_facts.h. */
#include "tests/harness/process_facts.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LINE_SIZE = 4096 };

/* The number of a row "KEY NUMBER kB" of a file of the process in /proc. */
static uint64_t read_kib(const process_t *process, const char *name, const char *key)
{
    char path[64];
    char line[256];
    uint64_t kib = 0;
    snprintf(path, sizeof path, "/proc/%ld/%s", (long)process_child(process), name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, key, strlen(key)) == 0) {
            kib = strtoull(line + strlen(key), NULL, 10);
        }
    }
    fclose(file);
    assert_true(kib > 0);
    return kib;
}

uint64_t process_rss_kib(const process_t *process)
{
    return read_kib(process, "status", "VmRSS:");
}

uint64_t process_pss_kib(const process_t *process)
{
    return read_kib(process, "smaps_rollup", "Pss:");
}

/* Entries of a folder of the process in /proc. */
static size_t count_entries(const process_t *process, const char *name)
{
    char path[64];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%ld/%s", (long)process_child(process), name);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count;
}

size_t process_descriptors(const process_t *process)
{
    return count_entries(process, "fd");
}

size_t process_threads(const process_t *process)
{
    return count_entries(process, "task");
}

static bool is_thread_stopped(long pid, const char *thread)
{
    char path[64];
    char state = '?';
    snprintf(path, sizeof path, "/proc/%ld/task/%.16s/stat", pid, thread);
    FILE *file = fopen(path, "r");
    if (!file) {
        return true; /* it has ended */
    }
    int fields = fscanf(file, "%*d (%*[^)]) %c", &state);
    fclose(file);
    return fields == 1 && state == 'T';
}

static bool are_threads_stopped(long pid)
{
    char path[64];
    bool stopped = true;
    snprintf(path, sizeof path, "/proc/%ld/task", pid);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (const struct dirent *entry; stopped && (entry = readdir(folder)) != NULL;) {
        stopped = entry->d_name[0] == '.' || is_thread_stopped(pid, entry->d_name);
    }
    closedir(folder);
    return stopped;
}

bool process_is_stopped(const process_t *process)
{
    return are_threads_stopped(process->pid) && are_threads_stopped(process_child(process));
}

/* Counts the lines with the text, and keeps the last. */
static size_t search(const cluster_t *cluster, const char *log, const char *text, char *last,
                     size_t last_size)
{
    char path[FOLDER_PATH_SIZE + 64];
    char line[LINE_SIZE];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/%s", cluster->folder, log);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (strstr(line, text)) {
            count++;
            line[strcspn(line, "\n")] = '\0';
            snprintf(last, last_size, "%s", line);
        }
    }
    fclose(file);
    return count;
}

size_t process_log_count(const cluster_t *cluster, const char *log, const char *text)
{
    char last[LINE_SIZE];
    return search(cluster, log, text, last, sizeof last);
}

bool process_log_last(const cluster_t *cluster, const char *log, const char *text, char *line,
                      size_t line_size)
{
    return search(cluster, log, text, line, line_size) > 0;
}
