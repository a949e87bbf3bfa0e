/* Lines of the log about peers, rows and descriptors: see watch.h. */
#include "broker/router/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#define DAMAGES_PER_S 10u
#define CRASHES_PER_S 10u
#define PARKED_PER_S  10u
#define RUNNERS_PER_S 10u

void router_watch_order(const router_order_t *order)
{
    char text[33];
    incarnation_text(order->runner, text);
    if (order->kind == ROUTER_RUNNER_JOINED) {
        log_event(LOG_INFO_LEVEL, "runner.joined", log_text("runner", text),
                  log_text("name", order->name), log_uint("weight", order->weight));
    } else if (order->kind == ROUTER_RUNNER_LEFT) {
        log_event(LOG_INFO_LEVEL, "runner.left", log_text("runner", text));
    } else if (order->kind == ROUTER_RUNNER_STANDING) {
        log_event(LOG_INFO_LEVEL, "runner.standing", log_text("runner", text),
                  log_text("name", order->name),
                  log_text("standing", runner_standing_name(order->standing)));
    }
}

void router_watch_damages(router_watch_t *watch, router_t *router, uint64_t now_ms)
{
    router_damage_t damage;
    uint32_t left_out = 0;
    while (router_next_damage(router, &damage)) {
        if (log_limiter_pass(&watch->damages, DAMAGES_PER_S, now_ms, &left_out)) {
            log_event(LOG_ERROR_LEVEL, "row.damaged", log_uint("request_id", damage.id.value),
                      log_uint("shard", damage.shard.value), log_text("cause", damage.cause),
                      log_uint("left_out", left_out));
        }
    }
}

static fabric_bytes_t name_bytes(const router_name_t *name)
{
    return fabric_bytes(name->bytes, name->size);
}

void router_watch_crashes(router_watch_t *watch, router_t *router, uint64_t now_ms)
{
    router_crash_t crash;
    uint32_t left_out = 0;
    char runner[33];
    while (router_next_crash(router, &crash)) {
        if (log_limiter_pass(&watch->crashes, CRASHES_PER_S, now_ms, &left_out)) {
            log_event(LOG_WARN_LEVEL, "runner.crashed",
                      log_text("runner", incarnation_text(crash.runner, runner)),
                      log_text("text", crash.text), log_uint("request_id", crash.request_id.value),
                      log_bytes("type", name_bytes(&crash.type)),
                      log_bytes("entity", name_bytes(&crash.entity)),
                      log_bytes("tag", name_bytes(&crash.tag)), log_uint("crashes", crash.crashes),
                      log_uint("left_out", left_out));
        }
    }
}

void router_watch_parked(router_watch_t *watch, router_t *router, uint64_t now_ms)
{
    router_parked_t parked;
    uint32_t left_out = 0;
    while (router_next_parked(router, &parked)) {
        if (log_limiter_pass(&watch->parked, PARKED_PER_S, now_ms, &left_out)) {
            log_event(LOG_WARN_LEVEL, "entity.parked", log_bytes("type", name_bytes(&parked.type)),
                      log_bytes("entity", name_bytes(&parked.entity)),
                      log_bytes("tag", name_bytes(&parked.tag)),
                      log_uint("request_id", parked.request_id.value),
                      log_uint("failures", parked.failures), log_uint("left_out", left_out));
        }
    }
}

void router_watch_runners(router_watch_t *watch, router_t *router, uint64_t now_ms)
{
    router_runner_health_t health;
    uint32_t left_out = 0;
    char runner[33];
    while (router_next_runner_health(router, &health)) {
        bool stuck = health.stuck > 0;
        if (log_limiter_pass(&watch->runners, RUNNERS_PER_S, now_ms, &left_out)) {
            log_event(stuck ? LOG_WARN_LEVEL : LOG_INFO_LEVEL,
                      stuck ? "runner.stuck" : "runner.recovered",
                      log_text("runner", incarnation_text(health.runner, runner)),
                      log_text("name", health.name), log_uint("stuck", health.stuck),
                      log_uint("executors", health.executors),
                      log_uint("oldest_ms", health.oldest_ms), log_uint("left_out", left_out));
        }
    }
}

void router_watch_violations(router_watch_t *watch, router_t *router, const char *address,
                             uint64_t now_ms)
{
    router_violation_t violation;
    uint32_t left_out;
    if (!router_take_violation(router, &violation) ||
        !log_limiter_pass(&watch->violations, 1, now_ms, &left_out)) {
        return;
    }
    log_event(
        LOG_WARN_LEVEL, "peer.violation", log_text("address", address ? address : "unknown"),
        log_text("peer", violation.role),
        log_bytes("routing_id", fabric_bytes(violation.routing_id, violation.routing_id_size)),
        log_text("error", fabric_error_name(violation.error)), log_text("text", violation.text),
        log_uint("count", violation.count + left_out));
}

void router_watch_unserved(router_watch_t *watch, router_t *router, uint64_t now_ms)
{
    router_unserved_t unserved;
    uint32_t left_out;
    /* The limiter counts in seconds. Its clock runs at a tenth of the speed here. */
    if (!router_take_unserved(router, &unserved) ||
        !log_limiter_pass(&watch->unserved, 1, now_ms / 10, &left_out)) {
        return;
    }
    const char *text = unserved.runner[0]
                           ? "this runner brings the entity type, but is cordoned or drains: "
                             "uncordon it, or start another worker"
                           : "no runner brings this entity type: start a worker that brings it";
    log_event(LOG_WARN_LEVEL, "runner.type_missing", log_text("type", unserved.type),
              log_text("runner", unserved.runner), log_text("text", text),
              log_uint("count", unserved.count + left_out));
}

void router_watch_descriptors(router_watch_t *watch)
{
    int probe = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    bool exhausted = probe < 0 && (errno == EMFILE || errno == ENFILE);
    struct rlimit limit = {0};
    if (probe >= 0) {
        close(probe);
    }
    if (exhausted == watch->exhausted) {
        return;
    }
    watch->exhausted = exhausted;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    log_event(exhausted ? LOG_WARN_LEVEL : LOG_INFO_LEVEL,
              exhausted ? "broker.descriptors_exhausted" : "broker.descriptors_available",
              log_uint("limit", limit.rlim_cur));
}
