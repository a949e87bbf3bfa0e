/* A home whose entities tell others something: see outbox_bench.h. */
#include "tests/unit/outbox_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/address.h"

home_t *outbox_open(void (*change)(router_config_t *config))
{
    router_config_t config;
    driver_told = DRIVER_TOLD_USUALLY;
    driver_told.options.tells = true;
    home_config(&config);
    config.lanes = OUTBOX_LANES;
    if (change) {
        change(&config);
    }
    home_t *home = home_open(&config);
    home_worker(home);
    driver_hold(home->driver, 1, 0);
    driver_forget(home->driver);
    return home;
}

void outbox_close(home_t **home)
{
    home_close(home);
    driver_told = DRIVER_TOLD_USUALLY;
}

void outbox_kill(home_t *home)
{
    home_kill(home);
    home_worker(home);
    driver_hold(home->driver, 1, 0);
    home->next += 1000;
}

const char *outbox_entity(uint32_t lane, unsigned number)
{
    static char names[8][16];
    static unsigned next;
    char *name = names[next++ % 8];
    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof names[0], "%c%u", lane == 0 ? 's' : 't', i);
        uint32_t shard = address_shard_number(fabric_bytes_of(name), DRIVER_SHARDS);
        if (shard % OUTBOX_LANES == lane && number-- == 0) {
            return name;
        }
    }
}

/* ---- what handlers tell ---- */

static void put_told(wire_writer_t *list, const char *const *targets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        message_request_t like = driver_request(1, targets[i], REQUEST_DURABLE | REQUEST_TELL);
        store_outgoing_t told = {.flags = REQUEST_DURABLE | REQUEST_TELL,
                                 .type = like.type,
                                 .entity = like.id,
                                 .tag = like.tag,
                                 .payload = like.payload,
                                 .shard = shard_id_make(1, 1)};
        journal_outgoing_put(list, &told);
    }
}

void outbox_result(home_t *home, const message_deliver_t *delivery, const char *const *targets,
                   size_t count)
{
    wire_writer_t list = {0};
    wire_writer_t none = {0};
    wire_put_array(&none, 0);
    put_told(&list, targets, count);
    message_result_told_t result = {.shard = delivery->shard,
                                    .home_epoch = delivery->home_epoch,
                                    .owner_sequence = delivery->owner_sequence,
                                    .activation = delivery->activation,
                                    .request_id = delivery->request_id,
                                    .payload = driver_request(1, "", 0).payload,
                                    .events = wire_writer_bytes(&none),
                                    .count = count,
                                    .told = wire_writer_bytes(&list)};
    driver_send(home->driver, "w", result_told, &result);
    wire_writer_destroy(&list);
    wire_writer_destroy(&none);
}

uint64_t outbox_tell(home_t *home, const char *source, const char *const *targets, size_t count)
{
    home_tell(home, source, 1);
    home_append(home);
    const message_deliver_t *delivery = driver_delivery(home->driver, "w");
    outbox_result(home, delivery, targets, count);
    return delivery->request_id;
}

uint64_t outbox_tell_one(home_t *home, const char *source, const char *target)
{
    uint64_t id = outbox_tell(home, source, &target, 1);
    home_append(home);
    return id;
}

/* ---- the other broker ---- */

const message_outgoing_t *outbox_next(home_t *home)
{
    driver_pull(home->driver);
    return driver_count(home->driver, "mesh", KIND_OUTGOING) == 0
               ? NULL
               : &driver_take(home->driver, "mesh", KIND_OUTGOING)->as.outgoing;
}

const char *outbox_sent(home_t *home)
{
    static char text[4000];
    size_t at = 0;
    const message_outgoing_t *message;
    text[0] = '\0';
    while ((message = outbox_next(home))) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s#%u", at > 0 ? " " : "",
                               (int)message->id.size, (const char *)message->id.data,
                               (unsigned)message->sequence);
        if (message->predecessor > 0) {
            at += (size_t)snprintf(text + at, sizeof text - at, "<%u",
                                   (unsigned)message->predecessor);
        }
        if (message->flags & REQUEST_RESEND) {
            at += (size_t)snprintf(text + at, sizeof text - at, "!");
        }
        assert_true(at < sizeof text);
    }
    return text;
}

void outbox_answer(home_t *home, uint64_t source, uint64_t sequence, fabric_error_t error,
                   uint64_t id)
{
    message_outgoing_answer_t answer = {
        .source = source, .sequence = sequence, .error = (uint64_t)error, .request_id = id};
    router_outgoing_answered(home->driver->router, driver_incarnation(OUTBOX_THERE), &answer,
                             home->driver->now_ms);
    driver_pull(home->driver);
    driver_check(home->driver);
}

void outbox_append_ends(home_t *home)
{
    driver_pass(home->driver, 40);
    home_append(home);
}

sender_t *outbox_sender(const home_t *home)
{
    return home->driver->router->lanes[0].outbox.sender;
}
