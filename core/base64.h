/* Base64 (RFC 4648, section 4): how bytes stand in JSON. */
#ifndef CORE_BASE64_H
#define CORE_BASE64_H

#include <stdbool.h>

#include <fabric/bytes.h>

/* The text's size for so many bytes, without a terminator. */
static inline size_t base64_size(size_t bytes_size)
{
    return (bytes_size + 2) / 3 * 4;
}
/* Writes base64_size(bytes.size) characters and a terminator. */
void base64_encode(fabric_bytes_t bytes, char *text);
/* Writes at most text.size / 4 * 3 bytes to `bytes`. False unless the text is what base64_encode
 * writes: padded, without white space, and with zero bits behind the last byte. */
bool base64_decode(fabric_bytes_t text, uint8_t *bytes, size_t *size);

#endif
