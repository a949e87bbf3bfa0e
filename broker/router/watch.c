/* Protocol violations and descriptors, for the log: see watch.h. */
#include "broker/router/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

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
    char runner[33];
    log_event(LOG_WARN_LEVEL, "runner.type_missing", log_text("type", unserved.type),
              log_text("runner", incarnation_text(unserved.runner, runner)),
              log_text("name", unserved.runner_name),
              log_text("text", "it owns a shard of this type and does not bring it: all workers of "
                               "a shard group must bring the same types"),
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
