/* Printing events of an entity: see event_print.h. */
#include "cli/event_print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/journal_print.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/printable.h"

/* A text of the caller's; of what is no UTF-8, with \xHH. */
static char *tag_text(fabric_bytes_t tag, bool json)
{
    char copy[LIMIT_NAME_BYTES_MAX + 1] = "";
    char text[PRINTABLE_SIZE(LIMIT_NAME_BYTES_MAX)];
    memcpy(copy, tag.data, tag.size < LIMIT_NAME_BYTES_MAX ? tag.size : LIMIT_NAME_BYTES_MAX);
    printable_copy(copy, text, sizeof text);
    if (!json) {
        return strdup(text);
    }
    json_t *string = json_string(text);
    char *quoted = json_dumps(string, JSON_ENCODE_ANY);
    json_decref(string);
    return quoted;
}

static char *hexadecimal(fabric_bytes_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = memory_allocate(2 * bytes.size + 1);
    for (size_t i = 0; i < bytes.size; i++) {
        text[2 * i] = digits[bytes.data[i] >> 4];
        text[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    text[2 * bytes.size] = '\0';
    return text;
}

void cli_event_print(const fabric_entity_event_t *event, const fabric_schema_t *schema, bool json,
                     FILE *file)
{
    fabric_schema_fault_t fault = {""};
    char time[JOURNAL_TIME_SIZE];
    char *value = NULL;
    char *tag = tag_text(event->tag, json);
    bool known = schema && fabric_schema_to_json(schema, event->payload, &fault, &value) == 0;
    if (!known) {
        value = hexadecimal(event->payload);
    }
    journal_time_text(event->recorded_ms, time);
    if (json) {
        fprintf(file,
                "{\"sequence\": %" PRIu64 ", \"recorded_at\": \"%s\", \"recorded_ms\": %" PRId64
                ", \"request_id\": %" PRIu64 ", \"tag\": %s, \"version\": %" PRIu32 ", ",
                event->sequence, time, event->recorded_ms, event->request_id, tag, event->version);
        fprintf(file, known ? "\"event\": %s}\n" : "\"event\": null, \"payload\": \"%s\"}\n",
                value);
    } else {
        fprintf(file, "%" PRIu64 "  %s  %s %" PRIu32 "  %s%s\n", event->sequence, time, tag,
                event->version, known ? "" : "0x", value);
    }
    free(value);
    free(tag);
}

void cli_event_print_lost(uint64_t first, uint64_t last, bool json, FILE *file)
{
    if (json) {
        fprintf(file, "{\"lost\": {\"first\": %" PRIu64 ", \"last\": %" PRIu64 "}}\n", first, last);
    } else {
        fprintf(file, "%" PRIu64 " to %" PRIu64 " are lost: the record that had them is damaged\n",
                first, last);
    }
}
