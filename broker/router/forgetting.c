/* Forgetting an entity type: see forgetting.h. */
#include "broker/router/forgetting.h"

#include <stdio.h>

#include "broker/router/document.h"
#include "broker/router/orders.h"
#include "core/memory.h"

/* In leases since the type was closed. */
enum { ASK_LEASES = 1, WRITE_LEASES = 2, CLOSED_LEASES = 4 };

enum { RUNNERS_NAMED_MAX = 8 };

/* The arguments: array(2) of a type, as bytes, and a token; type_forget has a third member, an
 * array of array(3) of a lane's number, its epoch, and whether memory has all of its scheduled
 * messages. */
typedef struct arguments {
    fabric_bytes_t type;
    uint64_t token;
    fabric_bytes_t lanes; /* as they were sent */
} arguments_t;

static bool read_lanes(wire_reader_t *reader)
{
    uint32_t count = wire_get_array(reader);
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        uint32_t members = wire_get_array(reader);
        (void)wire_get_uint(reader);
        (void)wire_get_uint(reader);
        (void)wire_get_bool(reader);
        reader->failed = reader->failed || members != 3;
    }
    return count <= LIMIT_LANES_MAX * LIMIT_BROKERS_MAX;
}

static bool read_arguments(fabric_bytes_t argument, bool lanes, arguments_t *arguments)
{
    wire_reader_t reader = wire_reader(argument);
    uint32_t count = wire_get_array(&reader);
    arguments->type = wire_get_bin(&reader);
    arguments->token = wire_get_uint(&reader);
    if (lanes) {
        arguments->lanes = fabric_bytes(reader.next, (size_t)(reader.end - reader.next));
        reader.failed = !read_lanes(&reader) || reader.failed;
    }
    return !wire_finish(&reader) && count == (lanes ? 3u : 2u) && arguments->type.size >= 1 &&
           arguments->type.size <= LIMIT_NAME_BYTES_MAX;
}

static bool is_for(const router_forgetting_t *self, const arguments_t *arguments)
{
    return self->step != FORGETTING_NONE && self->token == arguments->token &&
           fabric_bytes_equal(fabric_bytes_of(self->name), arguments->type);
}

static void give_order(router_t *router, router_order_kind_t kind)
{
    router_order_t order = {.kind = kind};
    memcpy(order.name, router->forgetting.name, sizeof order.name);
    order_add(router, &order);
}

/* ---- what this broker has of a type ---- */

typedef struct found {
    uint64_t pending;
    uint64_t scheduled;
    uint32_t runners;
    bool reading; /* some entities' types are not known yet, as their rows have not been read */
} found_t;

/* Whether the message counts by itself: the store has one that callers wait for, and what is left
 * of a lane that was dropped is its new home's. */
static bool is_pending(const router_t *router, const message_t *message)
{
    return message->state != MESSAGE_STORED &&
           router->lanes[lane_number(router, message->stored.shard)].state != LANE_FOREIGN;
}

/* Of messages in memory. */
static void count_messages(const router_t *router, fabric_bytes_t type, found_t *found)
{
    for (const message_t *message = router->messages_by_id; message;
         message = message->by_id.next) {
        bool counts = is_pending(router, message) && fabric_bytes_equal(message->stored.type, type);
        bool waits = counts && message_is_scheduled(message);
        found->scheduled += waits;
        found->pending += counts && !waits;
    }
}

static void count_stored(const router_lane_t *lane, fabric_bytes_t type, found_t *found)
{
    for (const overflow_t *overflow = lane->overflows.by_hash; overflow;
         overflow = overflow->by_hash.next) {
        if (!overflow->ownership) {
            found->reading = true;
        } else if (fabric_bytes_equal(ownership_type(overflow->ownership), type)) {
            found->pending += overflow->count;
        }
    }
}

static found_t look(const router_t *router, fabric_bytes_t type)
{
    found_t found = {0};
    count_messages(router, type, &found);
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        count_stored(&router->lanes[i], type, &found);
    }
    for (const runner_t *runner = router->runners; runner; runner = runner->by_incarnation.next) {
        found.runners += runner_brings(runner, type);
    }
    return found;
}

static void put_runners(const router_t *router, fabric_bytes_t type, uint32_t count,
                        wire_writer_t *answer)
{
    uint32_t left = count < RUNNERS_NAMED_MAX ? count : RUNNERS_NAMED_MAX;
    wire_put_text(answer, "runners");
    wire_put_array(answer, left);
    for (const runner_t *runner = router->runners; runner && left > 0;
         runner = runner->by_incarnation.next) {
        if (runner_brings(runner, type)) {
            wire_put_text(answer, runner->name);
            left--;
        }
    }
}

/* The lanes of which this broker is the home: nobody else accepts anything in them, as long as they
 * have these epochs. */
static void put_lanes(const router_t *router, wire_writer_t *answer)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        count += router->lanes[i].state == LANE_HOME;
    }
    wire_put_text(answer, "lanes");
    wire_put_array(answer, count);
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const router_lane_t *lane = &router->lanes[i];
        if (lane->state == LANE_HOME) {
            wire_put_array(answer, 3);
            wire_put_uint(answer, i);
            wire_put_uint(answer, lane->epoch);
            wire_put_bool(answer, lane->schedule.is_whole);
        }
    }
}

static void put_found(const router_t *router, fabric_bytes_t type, wire_writer_t *answer)
{
    found_t found = look(router, type);
    wire_put_map(answer, 6);
    document_put_uint(answer, "pending", found.pending);
    document_put_uint(answer, "scheduled", found.scheduled);
    document_put_bool(answer, "reading", found.reading);
    document_put_uint(answer, "brought", found.runners);
    put_runners(router, type, found.runners, answer);
    put_lanes(router, answer);
}

/* ---- steps ---- */

static fabric_error_t close_type(router_t *router, const arguments_t *arguments,
                                 wire_writer_t *answer, const char **text)
{
    router_forgetting_t *self = &router->forgetting;
    if (self->step == FORGETTING_NONE) {
        const known_type_t *type = type_find(router, arguments->type);
        if (!type) {
            *text = "no worker has registered this entity type";
            return FABRIC_ERROR_UNKNOWN_ENTITY_TYPE;
        }
        if (type_persists(router, arguments->type) || type_appends(router, arguments->type)) {
            *text = "states or events of its entities are stored, and nothing deletes them: "
                    "entities of a next version would begin with them";
            return FABRIC_ERROR_TYPE_IN_USE;
        }
        *self = (router_forgetting_t){
            .step = FORGETTING_CLOSED, .token = arguments->token, .since_ms = router->now_ms};
        memcpy(self->name, type->name, sizeof self->name);
        type_close(router, arguments->type, true);
        give_order(router, ROUTER_TYPE_CLOSED);
    }
    if (!is_for(self, arguments) || self->step != FORGETTING_CLOSED) {
        *text = "another command forgets a type, or has just ended";
        return FABRIC_ERROR_BUSY;
    }
    put_found(router, arguments->type, answer);
    return FABRIC_OK;
}

static void ask_coordinator(router_t *router, const arguments_t *arguments)
{
    router_forgetting_t *self = &router->forgetting;
    router_order_t order = {.kind = ROUTER_TYPE_FORGET,
                            .until_ms =
                                self->since_ms + WRITE_LEASES * (uint64_t)router->config.lease_ms,
                            .types_size = arguments->lanes.size};
    memcpy(order.name, self->name, sizeof order.name);
    order.types = memory_allocate(arguments->lanes.size);
    memcpy(order.types, arguments->lanes.data, arguments->lanes.size);
    order_add(router, &order);
    self->step = FORGETTING_ASKED;
}

static void put_outcome(const router_forgetting_t *self, wire_writer_t *answer)
{
    wire_put_map(answer, 3);
    document_put_bool(answer, "done", self->step == FORGETTING_DONE);
    document_put_uint(answer, "error", (uint64_t)self->error);
    document_put_text(answer, "text", self->text);
}

/* The command asks again until it hears the outcome, which stands in the document: an error of the
 * query is none. */
static fabric_error_t forget(router_t *router, const arguments_t *arguments, wire_writer_t *answer,
                             const char **text)
{
    router_forgetting_t *self = &router->forgetting;
    uint64_t ask_ms = ASK_LEASES * (uint64_t)router->config.lease_ms;
    bool closed = is_for(self, arguments);
    if (closed && self->step == FORGETTING_CLOSED && router->now_ms - self->since_ms < ask_ms) {
        if (!incarnation_equal(router->holder, router->config.incarnation)) {
            *text = "the broker does not hold the term any more";
            return FABRIC_ERROR_NOT_HOME;
        }
        ask_coordinator(router, arguments);
    }
    if (!closed || (self->step != FORGETTING_ASKED && self->step != FORGETTING_DONE)) {
        *text = "the command has taken too long: look whether the type is still there";
        return FABRIC_ERROR_OUTCOME_UNKNOWN;
    }
    put_outcome(self, answer);
    return FABRIC_OK;
}

static void begin_opening(router_t *router)
{
    router->forgetting.step = FORGETTING_OPENING;
    give_order(router, ROUTER_TYPE_OPEN);
}

/* The command asks again until the type is open. */
static void open_type(router_t *router, const arguments_t *arguments, wire_writer_t *answer)
{
    router_forgetting_t *self = &router->forgetting;
    bool ours = is_for(self, arguments);
    if (ours && self->step != FORGETTING_OPENING) {
        begin_opening(router);
    }
    wire_put_map(answer, 1);
    document_put_bool(answer, "done", !ours);
}

bool forgetting_knows(fabric_bytes_t name)
{
    return fabric_bytes_equal(name, fabric_bytes_of("type_close")) ||
           fabric_bytes_equal(name, fabric_bytes_of("type_forget")) ||
           fabric_bytes_equal(name, fabric_bytes_of("type_open"));
}

fabric_error_t forgetting_run(router_t *router, const message_query_t *query, wire_writer_t *answer,
                              const char **text)
{
    arguments_t arguments = {0};
    bool forgets = fabric_bytes_equal(query->name, fabric_bytes_of("type_forget"));
    if (!read_arguments(query->argument, forgets, &arguments)) {
        *text = "the argument is an array of a type, a token, and lanes for type_forget";
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    if (forgets) {
        return forget(router, &arguments, answer, text);
    }
    if (fabric_bytes_equal(query->name, fabric_bytes_of("type_open"))) {
        open_type(router, &arguments, answer);
        return FABRIC_OK;
    }
    return close_type(router, &arguments, answer, text);
}

/* ---- events ---- */

void router_forget_done(router_t *router, fabric_bytes_t name, fabric_error_t error,
                        const char *text)
{
    router_forgetting_t *self = &router->forgetting;
    if (self->step == FORGETTING_ASKED && fabric_bytes_equal(fabric_bytes_of(self->name), name)) {
        self->step = FORGETTING_DONE;
        self->error = error;
        snprintf(self->text, sizeof self->text, "%s", text);
    }
}

void router_type_opened(router_t *router, fabric_bytes_t name)
{
    router_forgetting_t *self = &router->forgetting;
    if (self->step == FORGETTING_OPENING && fabric_bytes_equal(fabric_bytes_of(self->name), name)) {
        type_close(router, name, false);
        self->step = FORGETTING_NONE;
    }
}

void forgetting_tick(router_t *router)
{
    const router_forgetting_t *self = &router->forgetting;
    uint64_t closed_ms = CLOSED_LEASES * (uint64_t)router->config.lease_ms;
    if (self->step != FORGETTING_NONE && self->step != FORGETTING_OPENING &&
        router->now_ms - self->since_ms >= closed_ms) {
        begin_opening(router);
    }
}
