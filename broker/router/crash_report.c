/* Reports of worker processes that have crashed are read, answered, and carried out. The
 * incarnation of a hello is a secret: a sender that knows it may speak for the process, and its
 * report proves that the process has ended. See poison.h for what is counted. */
#include "broker/router/crash_report.h"

#include "broker/router/membership.h"
#include "broker/router/poison.h"
#include "broker/router/router_state.h"
#include "broker/router/runner_id.h"

typedef struct crash_report {
    incarnation_t runner;
    request_id_t culprits[LIMIT_CRASH_CULPRITS_MAX];
    size_t count;
    fabric_bytes_t text;
} crash_report_t;

static bool read_culprits(fabric_bytes_t culprits, crash_report_t *report)
{
    if (culprits.size == 0) {
        return true;
    }
    wire_reader_t reader = wire_reader(culprits);
    uint32_t count = wire_get_array(&reader);
    if (reader.failed || count > LIMIT_CRASH_CULPRITS_MAX) {
        return false;
    }
    for (report->count = 0; report->count < count; report->count++) {
        report->culprits[report->count].value = wire_get_uint(&reader);
    }
    return wire_finish(&reader) == FABRIC_OK;
}

static bool read_report(const message_crashed_t *crashed, crash_report_t *report)
{
    incarnation_t secret;
    *report = (crash_report_t){.text = crashed->text};
    if (crashed->incarnation.size != sizeof secret.bytes ||
        crashed->text.size > LIMIT_CRASH_TEXT_BYTES_MAX ||
        !read_culprits(crashed->culprits, report)) {
        return false;
    }
    memcpy(secret.bytes, crashed->incarnation.data, sizeof secret.bytes);
    report->runner = runner_id_of(secret);
    return true;
}

/* The process is gone, so nothing that still comes on its connection counts. */
static void disconnect(router_t *router, runner_t *runner)
{
    peer_t *peer = runner->peer;
    if (peer) {
        runner_disconnect(runner);
        peer_remove(router, peer);
    }
}

fabric_error_t crash_report_received(router_t *router, peer_t *peer, wire_reader_t *body)
{
    message_crashed_t crashed;
    crash_report_t report;
    fabric_error_t error = message_get_crashed(body, &crashed);
    if (error) {
        return error;
    }
    if (!read_report(&crashed, &report)) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    message_put_crash_noted(peer_writer(router, peer),
                            &(message_crash_noted_t){.incarnation = crashed.incarnation});
    runner_t *runner = runner_find(router, report.runner);
    if (runner) {
        poison_runner_crashed(router, runner, report.culprits, report.count, report.text);
        disconnect(router, runner);
        runner_lost(router, runner);
    } else {
        poison_lost_runner_crashed(router, report.runner, report.culprits, report.count,
                                   report.text);
    }
    return FABRIC_OK;
}
