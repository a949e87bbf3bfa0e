/* Entity addresses: the function from id to shard, and the text form. */
#include "core/address.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/hash.h"
#include "core/limits.h"

static const char PREFIX[] = "EntityAddress(";
static const char SEPARATOR[] = ", ";

uint32_t address_shard_number(fabric_bytes_t id, uint32_t shards_per_group)
{
    assert(shards_per_group > 0);
    return (uint32_t)(XXH3_64bits(id.data, id.size) % shards_per_group) + 1;
}

fabric_error_t address_check_name(fabric_bytes_t name)
{
    return name.size >= 1 && name.size <= LIMIT_NAME_BYTES_MAX ? FABRIC_OK
                                                               : FABRIC_ERROR_LIMIT_EXCEEDED;
}

/* Writes the escape of a byte, \xHH, into `text` (5 bytes with the terminator). */
static void escape_byte(uint8_t byte, char text[5])
{
    static const char digits[] = "0123456789abcdef";
    text[0] = '\\';
    text[1] = 'x';
    text[2] = digits[byte >> 4];
    text[3] = digits[byte & 15];
    text[4] = '\0';
}

static bool is_printable(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7f;
}

/* Whether the byte at `index` could be taken for punctuation of the text form, or is invisible. */
static bool needs_escape(fabric_bytes_t name, size_t index)
{
    uint8_t byte = name.data[index];
    if (byte == ' ') {
        return index == 0 || index + 1 == name.size;
    }
    return !is_printable(byte) || byte == '(' || byte == ')' || byte == ',' || byte == '\\';
}

static void format_name(fabric_bytes_t name, wire_writer_t *text)
{
    for (size_t i = 0; i < name.size; i++) {
        if (needs_escape(name, i)) {
            char escaped[5];
            escape_byte(name.data[i], escaped);
            wire_append(text, escaped, 4);
        } else {
            wire_append(text, &name.data[i], 1);
        }
    }
}

void address_format(const address_t *address, wire_writer_t *text)
{
    char number[16];
    int size = snprintf(number, sizeof number, ":%" PRIu32 ")", address->shard_number);
    wire_append(text, PREFIX, sizeof PREFIX - 1);
    format_name(address->type, text);
    wire_append(text, SEPARATOR, sizeof SEPARATOR - 1);
    format_name(address->id, text);
    wire_append(text, SEPARATOR, sizeof SEPARATOR - 1);
    format_name(address->group, text);
    wire_append(text, number, (size_t)size);
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Unescapes text[0..size) into storage, whose buffer is large enough. The caller checks whether all
 * bytes were escaped as they must be, by formatting the result again. */
static bool parse_name(const char *text, size_t size, wire_writer_t *storage, fabric_bytes_t *name)
{
    size_t start = storage->size;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (byte == '\\') {
            if (size - i < 4 || text[i + 1] != 'x' || hex_digit(text[i + 2]) < 0 ||
                hex_digit(text[i + 3]) < 0) {
                return false;
            }
            byte = (uint8_t)(hex_digit(text[i + 2]) << 4 | hex_digit(text[i + 3]));
            i += 3;
        }
        wire_append(storage, &byte, 1);
    }
    *name = fabric_bytes(storage->data + start, storage->size - start);
    return address_check_name(*name) == FABRIC_OK;
}

static bool parse_number(const char *text, uint32_t *number)
{
    uint32_t value = 0;
    for (; *text >= '0' && *text <= '9' && value <= LIMIT_SHARDS_PER_GROUP_MAX; text++) {
        value = value * 10 + (uint32_t)(*text - '0');
    }
    *number = value;
    return value >= 1 && value <= LIMIT_SHARDS_PER_GROUP_MAX && strcmp(text, ")") == 0;
}

/* Reads the text leniently: all texts that address_format makes are accepted, and some others. */
static bool parse_parts(const char *text, wire_writer_t *storage, address_t *address)
{
    if (strncmp(text, PREFIX, sizeof PREFIX - 1) != 0) {
        return false;
    }
    const char *type = text + sizeof PREFIX - 1;
    const char *type_end = strstr(type, SEPARATOR);
    const char *id = type_end ? type_end + sizeof SEPARATOR - 1 : NULL;
    const char *id_end = id ? strstr(id, SEPARATOR) : NULL;
    const char *group = id_end ? id_end + sizeof SEPARATOR - 1 : NULL;
    const char *colon = group ? strrchr(group, ':') : NULL; /* a group's name may hold colons */
    return colon && parse_name(type, (size_t)(type_end - type), storage, &address->type) &&
           parse_name(id, (size_t)(id_end - id), storage, &address->id) &&
           parse_name(group, (size_t)(colon - group), storage, &address->group) &&
           parse_number(colon + 1, &address->shard_number);
}

fabric_error_t address_parse(const char *text, wire_writer_t *storage, address_t *address)
{
    const size_t size_before = storage->size;
    wire_writer_reserve(storage, strlen(text) + 1); /* so that the views never move */
    address_t parsed;
    bool same = false;
    if (parse_parts(text, storage, &parsed)) {
        wire_writer_t again = {0};
        address_format(&parsed, &again);
        same = fabric_bytes_equal(wire_writer_bytes(&again), fabric_bytes_of(text));
        wire_writer_destroy(&again);
    }
    if (!same) {
        storage->size = size_before;
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    *address = parsed;
    return FABRIC_OK;
}

void bytes_escape(fabric_bytes_t bytes, char *text, size_t max)
{
    static const char dots[] = "...";
    assert(max >= sizeof dots);
    size_t used = 0;
    size_t cut = 0; /* the last length at which the dots would still fit */
    for (size_t i = 0; i < bytes.size; i++) {
        char piece[5] = {(char)bytes.data[i], '\0'};
        if (!is_printable(bytes.data[i]) || bytes.data[i] == '\\') {
            escape_byte(bytes.data[i], piece);
        }
        size_t size = strlen(piece);
        if (used + size >= max) {
            memcpy(text + cut, dots, sizeof dots);
            return;
        }
        memcpy(text + used, piece, size);
        used += size;
        if (used + sizeof dots <= max) {
            cut = used;
        }
    }
    text[used] = '\0';
}
