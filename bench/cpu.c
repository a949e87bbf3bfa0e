/* Processor time: see cpu.h. */
#include "bench/cpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static uint64_t clock_us(clockid_t clock)
{
    struct timespec time = {0};
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static uint64_t process_us(pid_t pid)
{
    clockid_t clock;
    return clock_getcpuclockid(pid, &clock) == 0 ? clock_us(clock) : 0;
}

cpu_times_t cpu_times_read(const cluster_t *cluster)
{
    cpu_times_t times = {.client = clock_us(CLOCK_PROCESS_CPUTIME_ID)};
    times.known = cluster->broker.pid > 0;
    times.database_known = cluster->database.server.process.pid > 0;
    for (uint32_t i = 0; i < cluster->broker_count; i++) {
        times.brokers += process_us(process_child(&cluster->brokers[i]));
    }
    for (uint32_t i = 0; i < cluster->worker_count; i++) {
        times.workers += process_us(process_child(&cluster->workers[i]));
    }
    if (times.database_known) {
        times.database = process_us(cluster->database.server.process.pid);
    }
    return times;
}

cpu_times_t cpu_times_between(const cpu_times_t *before, const cpu_times_t *after)
{
    return (cpu_times_t){.known = before->known && after->known,
                         .database_known = before->database_known && after->database_known,
                         .client = after->client - before->client,
                         .brokers = after->brokers - before->brokers,
                         .workers = after->workers - before->workers,
                         .database = after->database - before->database};
}

uint64_t memory_peak_kib(const process_t *process)
{
    char path[64];
    char line[256];
    uint64_t kib = 0;
    if (process->pid <= 0) {
        return 0;
    }
    snprintf(path, sizeof path, "/proc/%ld/status", (long)process_child(process));
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file) &&
           sscanf(line, "VmHWM: %" SCNu64 " kB", &kib) != 1) {
    }
    if (file) {
        fclose(file);
    }
    return kib;
}
