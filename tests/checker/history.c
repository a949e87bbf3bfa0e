/* Histories: see history.h. Part of the Probe module too, so nothing but libc is used. */
#include "tests/checker/history.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 700, FOLDER_SIZE = 600 };

#define FILE_PREFIX "history-"
#define FNV_BASIS   14695981039346656037ULL
#define FNV_PRIME   1099511628211ULL

/* A program may have one testbed after another: the file changes with the folder. */
static pthread_mutex_t file_lock = PTHREAD_MUTEX_INITIALIZER;
static char file_folder[FOLDER_SIZE];
static int file = -1;

uint64_t history_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static pthread_once_t process_once = PTHREAD_ONCE_INIT;
static uint64_t process;

static void name_process(void)
{
    process = (history_now_us() & 0xffffffffffULL) << 24 | (uint64_t)(unsigned)getpid();
}

uint64_t history_process(void)
{
    pthread_once(&process_once, name_process);
    return process;
}

static void open_file(const char *folder)
{
    char path[PATH_SIZE];
    if (file >= 0) {
        close(file);
    }
    snprintf(path, sizeof path, "%s/%s%llx", folder, FILE_PREFIX,
             (unsigned long long)history_process());
    snprintf(file_folder, sizeof file_folder, "%s", folder);
    file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

void history_append(const char *folder, history_record_t *record)
{
    pthread_mutex_lock(&file_lock);
    if (strcmp(folder, file_folder) != 0) {
        open_file(folder);
    }
    record->at_us = history_now_us();
    ssize_t written = file >= 0 ? write(file, record, sizeof *record) : -1;
    (void)written;
    pthread_mutex_unlock(&file_lock);
}

/* ---- reading ---- */

static void *grown(void *items, size_t size)
{
    void *memory = realloc(items, size);
    if (!memory) {
        abort();
    }
    return memory;
}

static void read_file(history_t *history, const char *path)
{
    FILE *from = fopen(path, "r");
    size_t read = 1;
    while (from && read == 1) {
        if (history->count % 4096 == 0) {
            history->records =
                grown(history->records, (history->count + 4096) * sizeof *history->records);
        }
        read = fread(&history->records[history->count], sizeof *history->records, 1, from);
        history->count += read;
    }
    if (from) {
        fclose(from);
    }
}

static int compare_times(const void *left, const void *right)
{
    const history_record_t *a = left;
    const history_record_t *b = right;
    return a->at_us < b->at_us ? -1 : a->at_us > b->at_us;
}

history_t history_read(const char *folder)
{
    char path[PATH_SIZE];
    history_t history = {0};
    struct dirent *entry;
    DIR *listing = opendir(folder);
    while (listing && (entry = readdir(listing))) {
        if (strncmp(entry->d_name, FILE_PREFIX, strlen(FILE_PREFIX)) == 0 &&
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < (int)sizeof path) {
            read_file(&history, path);
        }
    }
    if (listing) {
        closedir(listing);
    }
    if (history.count > 0) {
        qsort(history.records, history.count, sizeof *history.records, compare_times);
    }
    return history;
}

void history_free(history_t *history)
{
    free(history->records);
    *history = (history_t){0};
}

/* ---- hashes ---- */

uint64_t history_chain(uint64_t before, uint64_t client, uint64_t number)
{
    uint64_t hash = before ? before : FNV_BASIS;
    hash = (hash ^ client) * FNV_PRIME;
    hash = (hash ^ number) * FNV_PRIME;
    return hash ? hash : 1;
}

uint64_t history_hash(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uint64_t hash = FNV_BASIS;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ at[i]) * FNV_PRIME;
    }
    return hash;
}
