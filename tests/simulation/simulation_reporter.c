/* Reports of crashes. See simulation_reporter.h. */
#include "tests/simulation/simulation_reporter.h"

#include "core/limits.h"
#include "core/message.h"
#include "tests/simulation/simulation_network.h"

enum { REPEAT_MS = 50, GIVE_UP_MS = 250 };

void reporter_crash(reporter_t *reporter, incarnation_t dead, uint64_t culprit)
{
    *reporter = (reporter_t){.due = true, .dead = dead, .culprit = culprit};
}

void reporter_start(reporter_t *reporter, process_t *process)
{
    if (!reporter->due) {
        return;
    }
    reporter->next_ms = process_now_ms(process);
    reporter->until_ms = reporter->next_ms + GIVE_UP_MS;
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        dealer_open(process, REPORTER_SOCKET + i, network_endpoint(i));
    }
}

static void close_socket(process_t *process, size_t dealer)
{
    if (process->dealers[dealer].open) {
        dealer_close(process, dealer);
    }
}

static void finish(reporter_t *reporter, process_t *process)
{
    reporter->due = false;
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        close_socket(process, REPORTER_SOCKET + i);
    }
}

static void send_report(const reporter_t *reporter, process_t *process, size_t dealer)
{
    wire_writer_t culprits = {0};
    wire_writer_t frame = {0};
    wire_put_array(&culprits, reporter->culprit > 0 ? 1 : 0);
    if (reporter->culprit > 0) {
        wire_put_uint(&culprits, reporter->culprit);
    }
    message_crashed_t crashed = {
        .incarnation = fabric_bytes(reporter->dead.bytes, sizeof reporter->dead.bytes),
        .culprits = wire_writer_bytes(&culprits),
        .text = fabric_bytes_of(reporter->culprit > 0 ? "signal 11" : "signal 9")};
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    message_put_crashed(&frame, &crashed);
    (void)dealer_send(process, dealer, wire_writer_bytes(&frame)); /* what is lost is repeated */
    wire_writer_destroy(&frame);
    wire_writer_destroy(&culprits);
}

void reporter_turn(reporter_t *reporter, process_t *process)
{
    uint64_t now_ms = process_now_ms(process);
    bool noted = true;
    if (!reporter->due) {
        return;
    }
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        noted &= reporter->noted[i];
        if (!reporter->noted[i] && now_ms >= reporter->next_ms) {
            send_report(reporter, process, REPORTER_SOCKET + i);
        }
    }
    if (noted || now_ms >= reporter->until_ms) {
        finish(reporter, process);
    } else if (now_ms >= reporter->next_ms) {
        reporter->next_ms = now_ms + REPEAT_MS;
    }
}

void reporter_receive(reporter_t *reporter, process_t *process, size_t dealer, fabric_bytes_t frame)
{
    wire_reader_t reader, body;
    frame_head_t head;
    message_kind_t kind;
    message_crash_noted_t noted;
    fabric_bytes_t dead = fabric_bytes(reporter->dead.bytes, sizeof reporter->dead.bytes);
    if (!reporter->due || frame_open(frame, &reader, &head)) {
        return;
    }
    while (frame_next(&reader, &body)) {
        if (!message_open(&body, &kind) && kind == KIND_CRASH_NOTED &&
            !message_get_crash_noted(&body, &noted) &&
            fabric_bytes_equal(noted.incarnation, dead)) {
            reporter->noted[dealer - REPORTER_SOCKET] = true;
            close_socket(process, dealer);
        }
    }
}

uint64_t reporter_deadline_ms(const reporter_t *reporter)
{
    return reporter->due ? reporter->next_ms : UINT64_MAX;
}
