/* fabricctl entity events: the history of one entity, and what is added to it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/event_print.h"
#include "cli/report.h"
#include "core/clock.h"
#include "core/store_message.h"
#include "core/wire.h"

/* LEARN_MS: the type is asked for again, at most so often, where it has no schema of an event. */
enum { LEARN_MS = 2000 };

typedef struct listing {
    const cli_options_t *options;
    fabric_client_t *client;
    type_description_t *type;
    uint64_t learnt_at_ms;
    uint64_t last; /* the sequence that was printed last, or where the listing begins */
    uint64_t left; /* how many are wanted */
} listing_t;

/* ---- schemas ---- */

static const fabric_schema_t *known_schema(const listing_t *listing,
                                           const fabric_entity_event_t *event)
{
    const event_description_t *known =
        type_description_event(listing->type, event->tag, event->version);
    return known ? known->schema : NULL;
}

/* Asks for the type once more; without an answer nothing changes. */
static void learn(listing_t *listing)
{
    uint8_t *document = NULL;
    size_t size = 0;
    type_description_t *newer = NULL;
    fabric_error_t error = fabric_client_query(
        listing->client, "describe", fabric_bytes_of(listing->options->arguments[2]),
        listing->options->timeout_ms, &document, &size, NULL);
    wire_reader_t reader = wire_reader(fabric_bytes(document, size));
    error = error ? error : type_description_parse(&reader, &newer);
    if (!error) {
        type_description_destroy(&listing->type);
        listing->type = newer;
    }
    free(document);
}

/* Workers may have registered it since the type was asked for. */
static const fabric_schema_t *find_schema(listing_t *listing, const fabric_entity_event_t *event)
{
    const fabric_schema_t *schema = known_schema(listing, event);
    uint64_t now_ms = clock_monotonic_ms();
    if (schema || now_ms < listing->learnt_at_ms + LEARN_MS) {
        return schema;
    }
    learn(listing);
    listing->learnt_at_ms = clock_monotonic_ms();
    return known_schema(listing, event);
}

/* ---- printing ---- */

/* Prints the next event; false: no more are wanted. */
static bool print_event(void *context, const fabric_entity_event_t *event)
{
    listing_t *listing = context;
    bool json = listing->options->json;
    if (!event) {
        return fflush(stdout) == 0;
    }
    if (event->sequence > listing->last + 1) {
        cli_event_print_lost(listing->last + 1, event->sequence - 1, json, stdout);
    }
    cli_event_print(event, find_schema(listing, event), json, stdout);
    listing->last = event->sequence;
    listing->left--;
    return listing->left > 0 && !ferror(stdout);
}

static fabric_entity_t entity_of(const listing_t *listing)
{
    return fabric_entity(listing->options->arguments[2], listing->options->arguments[3]);
}

/* ---- what there is ---- */

/* At most as many as are wanted. */
static uint32_t part_limit(const listing_t *listing)
{
    return listing->left < UINT32_MAX ? (uint32_t)listing->left : 0;
}

static fabric_error_t list(listing_t *listing, fabric_outcome_t *outcome)
{
    bool more = true;
    while (more && listing->left > 0 && !ferror(stdout)) {
        fabric_entity_events_t events;
        fabric_error_t error = fabric_client_read_events(
            listing->client, entity_of(listing), listing->last, part_limit(listing), 0,
            listing->options->timeout_ms, &events, outcome);
        if (error) {
            return error;
        }
        for (size_t i = 0; i < events.count; i++) {
            (void)print_event(listing, &events.events[i]);
        }
        more = events.more;
        fabric_entity_events_free(&events);
    }
    if (more && !listing->options->json) {
        printf("more: --after %" PRIu64 "\n", listing->last);
    }
    return FABRIC_OK;
}

/* The follower hands over what has come in lines at once. */
static fabric_error_t follow(listing_t *listing, fabric_outcome_t *outcome)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    return fabric_client_follow_events(listing->client, entity_of(listing), listing->last,
                                       listing->options->timeout_ms, print_event, listing, outcome);
}

/* ---- the command ---- */

static bool parse_after(const char *text, uint64_t *after)
{
    char *end = NULL;
    *after = 0;
    if (!text) {
        return true;
    }
    if (*text < '0' || *text > '9') {
        return false;
    }
    *after = strtoull(text, &end, 10);
    return *end == '\0' && *after <= STORE_SEQUENCE_MAX;
}

static int run(listing_t *listing)
{
    fabric_outcome_t outcome = {0};
    const char *name = listing->options->arguments[2];
    if (listing->type->event_count == 0) {
        return cli_fail(FABRIC_ERROR_NOT_FOUND, NULL, "entities of %s append no events", name);
    }
    fabric_error_t error =
        listing->options->follow ? follow(listing, &outcome) : list(listing, &outcome);
    return error ? cli_fail(error, NULL, "%s", cli_outcome_text(&outcome)) : CLI_DONE;
}

int cli_entity_events(const cli_options_t *options, fabric_client_t *client)
{
    listing_t listing = {.options = options,
                         .client = client,
                         .learnt_at_ms = clock_monotonic_ms(),
                         .left = options->limit > 0 ? options->limit : UINT64_MAX};
    if (!parse_after(options->after, &listing.last)) {
        return cli_usage_error("--after: '%.60s' is not the sequence of an event", options->after);
    }
    int code = cli_describe(options, client, options->arguments[2], &listing.type);
    if (code == CLI_DONE) {
        code = run(&listing);
        type_description_destroy(&listing.type);
    }
    return code;
}
