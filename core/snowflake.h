/* Snowflake ids: 64 bits = milliseconds since 2025-01-01T00:00:00Z << 22 | machine (10 bits) << 12
 * | sequence (12 bits).
 *
 * The layout and the conversions are those of Effect's Snowflake module; the generator differs in
 * that it takes its time from the caller, uses leased machine numbers only, and can be lifted above
 * ids that it has seen.
 *
 * Threading: pure values; a generator belongs to one thread.
 */
#ifndef CORE_SNOWFLAKE_H
#define CORE_SNOWFLAKE_H

#include <fabric/error.h>

#include "core/ids.h"

#define SNOWFLAKE_EPOCH_MS  INT64_C(1735689600000) /* 2025-01-01T00:00:00Z in Unix milliseconds */
#define SNOWFLAKE_MACHINES  1024u
#define SNOWFLAKE_SEQUENCES 4096u

typedef struct snowflake_parts {
    int64_t timestamp_ms; /* Unix time */
    uint32_t machine;
    uint32_t sequence;
} snowflake_parts_t;

/* Packs parts; machine modulo 1024 and sequence modulo 4096: parts out of range wrap, as in the
 * original. */
request_id_t snowflake_make(snowflake_parts_t parts);
snowflake_parts_t snowflake_parts(request_id_t id);
int64_t snowflake_timestamp_ms(request_id_t id);
/* "2025-06-01T00:00:00.000Z". Returns `text`. */
const char *snowflake_date_text(request_id_t id, char text[32]);
/* Decimal digits. Returns `text`. */
const char *snowflake_text(request_id_t id, char text[21]);
/* Parses decimal digits only. FABRIC_ERROR_INVALID_ARGUMENT. */
FABRIC_MUST_USE
fabric_error_t snowflake_parse(const char *text, request_id_t *id);

typedef struct snowflake_generator {
    uint32_t machine;
    uint64_t last; /* highest id made or lifted above */
} snowflake_generator_t;

/* `machine` must be below 1024 (a leased slot, never wrapped): INVALID_ARGUMENT otherwise. */
FABRIC_MUST_USE
fabric_error_t snowflake_generator_init(snowflake_generator_t *generator, uint32_t machine);
/* The next id, larger than any id before it, whatever `now_ms` (Unix) does. After 4,096 ids of one
 * millisecond it is one of the next millisecond. 0 (none) when the 42 bits of milliseconds are used
 * up, in the year 2164 or after a lift to there: check an id that a peer names before lifting a
 * generator above it. */
request_id_t snowflake_next(snowflake_generator_t *generator, int64_t now_ms);
/* Makes all later ids larger than `id`, which may have another machine number. */
void snowflake_lift(snowflake_generator_t *generator, request_id_t id);

#endif
