/* How much slower the machine is than an idle one: see machine.h. */
#include "tests/harness/machine.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"

enum { MEASURE_US = 200000, THREADS_MAX = 64 };

static double worst = 0; /* not measured yet */

/* Computes for MEASURE_US; stores for how many of these microseconds the thread had the
 * processor. */
static void *compute(void *cpu_us)
{
    struct timespec used;
    uint64_t end_us = clock_monotonic_us() + MEASURE_US;
    while (clock_monotonic_us() < end_us) {
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    *(uint64_t *)cpu_us = (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
    return NULL;
}

void machine_measure(void)
{
    pthread_t threads[THREADS_MAX];
    uint64_t cpu_us[THREADS_MAX] = {0};
    uint64_t sum_us = 1;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    long count = processors < 1 ? 1 : processors > THREADS_MAX ? THREADS_MAX : processors;
    uint64_t begin_us = clock_monotonic_us();
    for (long i = 0; i < count; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, compute, &cpu_us[i]), 0);
    }
    for (long i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        sum_us += cpu_us[i];
    }
    double slowdown = (double)(clock_monotonic_us() - begin_us) * (double)count / (double)sum_us;
    worst = slowdown > worst ? slowdown : worst;
    worst = worst < 1 ? 1 : worst;
    print_message("machine: %.1f times as slow as an idle one\n", slowdown);
}

uint64_t machine_scaled(uint64_t time)
{
    if (worst == 0) {
        machine_measure();
    }
    return (uint64_t)((double)time * worst);
}
