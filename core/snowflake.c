/* Snowflake ids: packing, texts and the generator. */
#include "core/snowflake.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { MACHINE_SHIFT = 12, TIME_SHIFT = 22 };

/* The last millisecond, counted from the epoch, that 42 bits can hold. */
#define TIME_MAX ((UINT64_C(1) << (64 - TIME_SHIFT)) - 1)

static uint64_t pack(uint64_t time, uint32_t machine, uint32_t sequence)
{
    return time << TIME_SHIFT | (uint64_t)(machine % SNOWFLAKE_MACHINES) << MACHINE_SHIFT |
           sequence % SNOWFLAKE_SEQUENCES;
}

request_id_t snowflake_make(snowflake_parts_t parts)
{
    uint64_t time = (uint64_t)parts.timestamp_ms - (uint64_t)SNOWFLAKE_EPOCH_MS;
    return (request_id_t){pack(time, parts.machine, parts.sequence)};
}

int64_t snowflake_timestamp_ms(request_id_t id)
{
    return (int64_t)(id.value >> TIME_SHIFT) + SNOWFLAKE_EPOCH_MS;
}

snowflake_parts_t snowflake_parts(request_id_t id)
{
    return (snowflake_parts_t){
        .timestamp_ms = snowflake_timestamp_ms(id),
        .machine = (uint32_t)(id.value >> MACHINE_SHIFT) % SNOWFLAKE_MACHINES,
        .sequence = (uint32_t)id.value % SNOWFLAKE_SEQUENCES,
    };
}

const char *snowflake_date_text(request_id_t id, char text[32])
{
    int64_t timestamp_ms = snowflake_timestamp_ms(id);
    time_t seconds = (time_t)(timestamp_ms / 1000);
    struct tm date;
    gmtime_r(&seconds, &date);
    size_t size = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &date);
    snprintf(text + size, 32 - size, ".%03uZ", (unsigned)(timestamp_ms % 1000));
    return text;
}

const char *snowflake_text(request_id_t id, char text[21])
{
    snprintf(text, 21, "%" PRIu64, id.value);
    return text;
}

fabric_error_t snowflake_parse(const char *text, request_id_t *id)
{
    if (!text || !*text) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    uint64_t value = 0;
    for (const char *next = text; *next; next++) {
        if (*next < '0' || *next > '9') {
            return FABRIC_ERROR_INVALID_ARGUMENT;
        }
        uint64_t digit = (uint64_t)(*next - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return FABRIC_ERROR_INVALID_ARGUMENT;
        }
        value = value * 10 + digit;
    }
    id->value = value;
    return FABRIC_OK;
}

fabric_error_t snowflake_generator_init(snowflake_generator_t *generator, uint32_t machine)
{
    if (machine >= SNOWFLAKE_MACHINES) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    *generator = (snowflake_generator_t){.machine = machine, .last = 0};
    return FABRIC_OK;
}

request_id_t snowflake_next(snowflake_generator_t *generator, int64_t now_ms)
{
    uint64_t now = 0;
    if (now_ms > SNOWFLAKE_EPOCH_MS) {
        now = (uint64_t)(now_ms - SNOWFLAKE_EPOCH_MS);
    }
    snowflake_parts_t last = snowflake_parts((request_id_t){generator->last});
    uint64_t time = generator->last >> TIME_SHIFT;
    uint32_t sequence = 0;
    if (now > time) {
        time = now;
    } else if (last.machine == generator->machine && last.sequence + 1 < SNOWFLAKE_SEQUENCES) {
        sequence = last.sequence + 1;
    } else if (last.machine >= generator->machine) {
        time++; /* this machine has no id left above `last` in its millisecond */
    }
    if (time > TIME_MAX) {
        return (request_id_t){0};
    }
    generator->last = pack(time, generator->machine, sequence);
    return (request_id_t){generator->last};
}

void snowflake_lift(snowflake_generator_t *generator, request_id_t id)
{
    if (id.value > generator->last) {
        generator->last = id.value;
    }
}
