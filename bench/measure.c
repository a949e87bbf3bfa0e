/* Measuring calls: see bench_state.h. */
#include "bench/bench_state.h"

#include "core/clock.h"
#include "tests/harness/cluster_status.h"

enum { HELD_ENTITIES = 64, DRAIN_MS_MIN = 60000, MESSAGES_PER_MS_MIN = 1, CHECKPOINT_MS = 300000 };

uint32_t bench_drain_ms(uint64_t messages)
{
    return DRAIN_MS_MIN + (uint32_t)(messages / MESSAGES_PER_MS_MIN);
}

load_t *bench_load_new(bench_t *bench, bench_kind_t kind, const char *prefix, uint32_t entities)
{
    load_options_t options = {.kind = kind,
                              .prefix = prefix,
                              .entities = entities,
                              .inflight = bench->options.inflight,
                              .size = bench->options.size,
                              .payload = bench->options.payload,
                              .keyed = bench->options.keyed,
                              .state_bytes = bench->options.state_bytes};
    return load_new(bench->client, &options);
}

static fabric_error_t run_calls(load_t *load, uint64_t duration_us, uint64_t calls,
                                reason_t *reason, const load_result_t **result)
{
    fabric_error_t error = load_run(load, duration_us, calls, result);
    return error == FABRIC_ERROR_TIMEOUT
               ? reason_set(reason, error, "calls stay open beyond their deadline")
               : error;
}

fabric_error_t bench_fill(load_t *load, uint64_t calls, reason_t *reason)
{
    const load_result_t *result = NULL;
    fabric_error_t error = calls > 0 ? run_calls(load, 0, calls, reason, &result) : FABRIC_OK;
    if (error || calls == 0 || result->completed == calls) {
        return error;
    }
    return reason_set(reason, FABRIC_ERROR_NOT_CONNECTED,
                      "%llu of %llu calls before the measurement failed",
                      (unsigned long long)(calls - result->completed), (unsigned long long)calls);
}

/* ---- before ---- */

static bench_kind_t kind_of(const options_t *options, bool tell)
{
    if (options->state_bytes > 0) {
        return tell ? BENCH_TELL_CHANGE : BENCH_ASK_CHANGE;
    }
    if (options->early) {
        return BENCH_ASK_EARLY;
    }
    return tell ? (options->durable ? BENCH_TELL_DURABLE : BENCH_TELL_VOLATILE)
                : (options->durable ? BENCH_ASK_DURABLE : BENCH_ASK_VOLATILE);
}

/* What the store has to carry: calls that have ended, and messages that stay pending. */
static fabric_error_t prefill(bench_t *bench, reason_t *reason)
{
    const options_t *options = &bench->options;
    bench_kind_t history = options->state_bytes > 0 ? BENCH_ASK_CHANGE : BENCH_ASK_DURABLE;
    fabric_error_t error = FABRIC_OK;
    if (options->ended > 0) {
        fprintf(stderr, "fabric-bench: %u calls end before\n", options->ended);
        bench->prefill = bench_load_new(bench, history, "bench", options->entities);
        error = bench_fill(bench->prefill, options->ended, reason);
        if (error) {
            return error;
        }
        load_destroy(&bench->prefill);
    }
    if (options->held > 0) {
        fprintf(stderr, "fabric-bench: %u messages stay pending\n", options->held);
        bench->prefill = bench_load_new(bench, BENCH_HOLD_DURABLE, "held", HELD_ENTITIES);
        error = bench_fill(bench->prefill, options->held, reason);
    }
    return error || options->ended + options->held == 0
               ? error
               : status_wait_checkpointed(&bench->brokers, CHECKPOINT_MS, reason);
}

/* ---- one run ---- */

/* A figure does not count unless what was to stay pending did. */
static fabric_error_t check_pending(bench_t *bench, uint64_t expected, reason_t *reason)
{
    status_counters_t counters = {0};
    fabric_error_t error = status_counters(&bench->brokers, reason, &counters);
    return error || counters.pending >= expected
               ? error
               : reason_set(reason, FABRIC_ERROR_INTERNAL,
                            "%llu messages are pending, and %llu were to be",
                            (unsigned long long)counters.pending, (unsigned long long)expected);
}

/* Nor does it unless each call has changed a state, where there are any. */
static fabric_error_t check_changed(const bench_t *bench, const status_counters_t *before,
                                    const status_counters_t *after, reason_t *reason)
{
    uint64_t changed = after->states_changed - before->states_changed;
    uint64_t expected = bench->result->completed;
    expected -= bench->dead_letters < expected ? bench->dead_letters : expected;
    return bench->options.state_bytes == 0 || changed >= expected
               ? FABRIC_OK
               : reason_set(reason, FABRIC_ERROR_INTERNAL,
                            "%llu states were changed, and %llu were to be",
                            (unsigned long long)changed, (unsigned long long)expected);
}

static fabric_error_t drain(bench_t *bench, uint64_t begin_us, reason_t *reason)
{
    uint64_t all = bench->result->completed;
    fabric_error_t error =
        status_wait_pending(&bench->brokers, bench->options.held, bench_drain_ms(all), reason);
    bench->drained_us = clock_monotonic_us() - begin_us;
    return error;
}

/* One run, until its backlog is empty. `drained_us` gets the time until then; without workers, the
 * time from their start. */
static fabric_error_t run_load(bench_t *bench, uint64_t duration_us, uint64_t calls,
                               bool without_worker, reason_t *reason)
{
    bool has_backlog = bench->options.tell && bench->options.durable;
    bool is_counted = has_backlog || bench->options.state_bytes > 0;
    status_counters_t before = {0};
    status_counters_t after = {0};
    fabric_error_t error =
        is_counted ? status_counters(&bench->brokers, reason, &before) : FABRIC_OK;
    if (error) {
        return error;
    }
    if (without_worker) {
        cluster_stop_workers(&bench->cluster);
    }
    cpu_times_t cpu_before = cpu_times_read(&bench->cluster);
    uint64_t begin_us = clock_monotonic_us();
    error = run_calls(bench->load, duration_us, calls, reason, &bench->result);
    if (error) {
        return error;
    }
    bench->drained_us = bench->result->elapsed_us;
    if (without_worker) {
        error = check_pending(bench, bench->options.held + bench->result->completed, reason);
        begin_us = clock_monotonic_us();
        error = error ? error : bench_start_workers(bench, reason);
    }
    if (!error && has_backlog) {
        error = drain(bench, begin_us, reason);
    }
    cpu_times_t cpu_after = cpu_times_read(&bench->cluster);
    bench->cpu = cpu_times_between(&cpu_before, &cpu_after);
    if (error || !is_counted) {
        return error;
    }
    error = status_counters(&bench->brokers, reason, &after);
    bench->dead_letters = has_backlog ? after.dead_letters - before.dead_letters : 0;
    return error ? error : check_changed(bench, &before, &after, reason);
}

fabric_error_t bench_measure(bench_t *bench, reason_t *reason)
{
    const options_t *options = &bench->options;
    fabric_error_t error = prefill(bench, reason);
    if (error) {
        return error;
    }
    bench->load =
        bench_load_new(bench, kind_of(options, options->tell), "bench", options->entities);
    if (options->warmup_s > 0) {
        fprintf(stderr, "fabric-bench: warming up for %u s\n", options->warmup_s);
        error = run_load(bench, (uint64_t)options->warmup_s * 1000000, 0, false, reason);
    }
    if (!error && options->calls > 0) {
        fprintf(stderr, "fabric-bench: measuring %llu calls\n", (unsigned long long)options->calls);
    } else if (!error) {
        fprintf(stderr, "fabric-bench: measuring for %u s\n", options->duration_s);
    }
    if (!error) {
        error = run_load(bench, (uint64_t)options->duration_s * 1000000, options->calls,
                         options->without_worker, reason);
    }
    return error || options->held == 0 ? error : check_pending(bench, options->held, reason);
}
