/* MySQL's packets as far as commits need them: 3 bytes of length, 1 of sequence, the payload. A
 * command is number 0 of its sequence, its first byte says which. A COMMIT is a query. An append is
 * the execution of a statement that inserts into a journal; the answer to its preparation has told
 * its number. */
#include <string.h>
#include <strings.h>

#include "tests/harness/proxy_state.h"

enum { HEADER_BYTES = 4, QUERY = 3, PREPARE = 0x16, EXECUTE = 0x17, OK_MARK = 0 };
/* A server's greeting: where its version begins, and which byte after the version's end has the
 * capability to encrypt, as which bit. */
enum { VERSION_AT = 5, ENCRYPTION_AFTER = 14, ENCRYPTION_BIT = 0x08 };

static const char commit[] = "COMMIT";
static const char append[] = "INSERT INTO journal";

static size_t payload_bytes(const uint8_t *header)
{
    return header[0] | (size_t)header[1] << 8 | (size_t)header[2] << 16;
}

static void pass_on(const uint8_t *data, size_t size, uint8_t *pass, size_t *pass_bytes)
{
    memcpy(pass + *pass_bytes, data, size);
    *pass_bytes += size;
}

void packets_release(packets_t *packets, uint8_t *pass, size_t *pass_bytes)
{
    pass_on(packets->held, packets->held_bytes, pass, pass_bytes);
    packets->skip = payload_bytes(packets->held) - (packets->held_bytes - HEADER_BYTES);
    packets->held_bytes = 0;
}

/* Whether so much is held that the packet is known. */
static bool is_known(const packets_t *packets)
{
    return packets->held_bytes == PACKET_HEAD_BYTES ||
           (packets->held_bytes >= HEADER_BYTES &&
            packets->held_bytes == HEADER_BYTES + payload_bytes(packets->held));
}

static bool begins_with(const packets_t *packets, uint8_t command, const void *text, size_t size)
{
    return packets->held_bytes > HEADER_BYTES + size && packets->held[HEADER_BYTES - 1] == 0 &&
           packets->held[HEADER_BYTES] == command &&
           memcmp(packets->held + HEADER_BYTES + 1, text, size) == 0;
}

static bool executes_append(const packets_t *packets)
{
    for (size_t i = 0; i < packets->append_count; i++) {
        if (begins_with(packets, EXECUTE, packets->appends[i], sizeof packets->appends[i])) {
            return true;
        }
    }
    return false;
}

/* MySQL's client library sends COMMIT in small letters, after the query's attributes: none of one
 * set. */
static bool is_commit(const packets_t *packets)
{
    static const uint8_t attributes[] = {0, 1};
    bool attributed = begins_with(packets, QUERY, attributes, sizeof attributes);
    size_t at = HEADER_BYTES + 1 + (attributed ? sizeof attributes : 0);
    const char *text = (const char *)packets->held + at;
    size_t size = sizeof commit - 1;
    return begins_with(packets, QUERY, "", 0) &&
           HEADER_BYTES + payload_bytes(packets->held) == at + size &&
           strncasecmp(text, commit, size) == 0;
}

static packets_found_t find(packets_t *packets)
{
    if (is_commit(packets)) {
        return PACKETS_COMMIT;
    }
    if (begins_with(packets, PREPARE, append, sizeof append - 1)) {
        packets->preparing = true;
        packets->answer = (answer_t){0};
    }
    return executes_append(packets) ? PACKETS_APPEND : PACKETS_NOTHING;
}

packets_found_t packets_read(packets_t *packets, const uint8_t *data, size_t size, size_t *at,
                             uint8_t *pass, size_t *pass_bytes)
{
    while (*at < size) {
        if (packets->skip > 0) {
            size_t bytes = size - *at < packets->skip ? size - *at : packets->skip;
            pass_on(data + *at, bytes, pass, pass_bytes);
            packets->skip -= bytes;
            *at += bytes;
            continue;
        }
        packets->held[packets->held_bytes++] = data[(*at)++];
        if (is_known(packets)) {
            packets_found_t found = find(packets);
            if (found != PACKETS_NOTHING) {
                return found;
            }
            packets_release(packets, pass, pass_bytes);
        }
    }
    return PACKETS_NOTHING;
}

void packets_read_answer(packets_t *packets, const uint8_t *data, size_t size)
{
    bool ok = false;
    if (!packets->preparing) {
        return;
    }
    (void)answer_read(&packets->answer, data, size, &ok);
    packets->preparing = packets->answer.seen < sizeof packets->answer.head;
    if (!packets->preparing && ok && packets->append_count < PACKETS_APPENDS_MAX) {
        memcpy(packets->appends[packets->append_count++], packets->answer.head + HEADER_BYTES + 1,
               sizeof packets->appends[0]);
    }
}

void packets_weaken_greeting(packets_t *packets, uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size && !packets->greeted; i++) {
        size_t at = packets->greeting_bytes++;
        if (packets->version_end == 0) {
            packets->version_end = at >= VERSION_AT && data[i] == 0 ? at + 1 : 0;
            continue;
        }
        if (at - packets->version_end == ENCRYPTION_AFTER) {
            data[i] &= (uint8_t)~ENCRYPTION_BIT;
            packets->greeted = true;
        }
    }
}

bool answer_read(answer_t *answer, const uint8_t *data, size_t size, bool *ok)
{
    size_t head = sizeof answer->head;
    for (size_t i = 0; i < size && answer->seen + i < head; i++) {
        answer->head[answer->seen + i] = data[i];
    }
    answer->seen += size;
    *ok = answer->seen > HEADER_BYTES && answer->head[HEADER_BYTES] == OK_MARK;
    return answer->seen > HEADER_BYTES &&
           answer->seen >= HEADER_BYTES + payload_bytes(answer->head);
}
