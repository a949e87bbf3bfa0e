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

enum { MEASURE_US = 200000, MEASURE_US_MAX = 2000000, CPU_US_MIN = 20000, THREADS_MAX = 64 };

static double worst = 0; /* not measured yet */

typedef struct sample {
    uint64_t took_us, cpu_us;
} sample_t;

static uint64_t read_cpu_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

/* Computes for MEASURE_US; stores for how many of these microseconds the thread had the processor.
 * A single turn of the scheduler says little: a thread that had few goes on. */
static void *compute(void *context)
{
    sample_t *sample = context;
    uint64_t begin_us = clock_monotonic_us();
    do {
        sample->took_us = clock_monotonic_us() - begin_us;
        sample->cpu_us = read_cpu_us();
    } while (sample->took_us < MEASURE_US ||
             (sample->cpu_us < CPU_US_MIN && sample->took_us < MEASURE_US_MAX));
    return NULL;
}

void machine_measure(void)
{
    pthread_t threads[THREADS_MAX];
    sample_t samples[THREADS_MAX];
    sample_t sum = {0, 1};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    long count = processors < 1 ? 1 : processors > THREADS_MAX ? THREADS_MAX : processors;
    for (long i = 0; i < count; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, compute, &samples[i]), 0);
    }
    for (long i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        sum.took_us += samples[i].took_us;
        sum.cpu_us += samples[i].cpu_us;
    }
    double slowdown = (double)sum.took_us / (double)sum.cpu_us;
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
