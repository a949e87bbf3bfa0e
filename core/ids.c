/* The text of ids, and the ids that runners have in public. */
#include "core/ids.h"

#include <stddef.h>

#include "core/sha256.h"

incarnation_t incarnation_public(incarnation_t secret)
{
    uint8_t digest[SHA256_BYTES];
    incarnation_t id;
    sha256(fabric_bytes(secret.bytes, sizeof secret.bytes), digest);
    memcpy(id.bytes, digest, sizeof id.bytes);
    return id;
}

const char *incarnation_text(incarnation_t incarnation, char text[33])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof incarnation.bytes; i++) {
        text[2 * i] = digits[incarnation.bytes[i] >> 4];
        text[2 * i + 1] = digits[incarnation.bytes[i] & 15];
    }
    text[32] = '\0';
    return text;
}
