/* Ids that must not be mixed up: each has a struct of its own, so that swapping two does not
 * compile. */
#ifndef CORE_IDS_H
#define CORE_IDS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A snowflake made by the home when it accepts a message. 0: none. */
typedef struct request_id {
    uint64_t value;
} request_id_t;

/* A shard in 32 bits: the stored number of its group (1..LIMIT_GROUPS_MAX) in the upper 16, its
 * number within the group (1..shards_per_group) in the lower 16. 0: none. */
typedef struct shard_id {
    uint32_t value;
} shard_id_t;

static inline shard_id_t shard_id_make(uint16_t group, uint16_t number)
{
    return (shard_id_t){(uint32_t)group << 16 | number};
}

static inline uint16_t shard_id_group(shard_id_t shard)
{
    return (uint16_t)(shard.value >> 16);
}

static inline uint16_t shard_id_number(shard_id_t shard)
{
    return (uint16_t)(shard.value & 0xffff);
}

/* 128 random bits, made when a broker, worker or client starts. All zero: none. */
typedef struct incarnation {
    uint8_t bytes[16];
} incarnation_t;

static inline bool incarnation_equal(incarnation_t a, incarnation_t b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

static inline bool incarnation_is_none(incarnation_t a)
{
    return incarnation_equal(a, (incarnation_t){{0}});
}

/* 128 random bits that a broker makes when it joins, and that only the database tells to others.
 * All zero: none. */
typedef struct broker_secret {
    uint8_t bytes[16];
} broker_secret_t;

/* "0f3a...": 32 hexadecimal digits and a terminator. Returns `text`. */
const char *incarnation_text(incarnation_t incarnation, char text[33]);
/* The incarnation of 32 hexadecimal digits; false: the text is something else. */
bool incarnation_parse(const char *text, incarnation_t *incarnation);

/* A client's name for one call: the client's number and the call's sequence (1, 2, ...). */
typedef struct call_key {
    uint64_t client;
    uint64_t sequence;
} call_key_t;

/* Names one ownership of one owner over a shard. Tokens are compared lexicographically. */
typedef struct token {
    uint64_t home_epoch;
    uint64_t owner_sequence;
} token_t;

static inline bool token_equal(token_t a, token_t b)
{
    return a.home_epoch == b.home_epoch && a.owner_sequence == b.owner_sequence;
}

static inline bool token_less(token_t a, token_t b)
{
    return a.home_epoch != b.home_epoch ? a.home_epoch < b.home_epoch
                                        : a.owner_sequence < b.owner_sequence;
}

#endif
