/* Base64: see base64.h. */
#include "core/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(fabric_bytes_t bytes, char *text)
{
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        group |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.data[i + 2] : 0;
        *text++ = digits[group >> 18];
        *text++ = digits[group >> 12 & 63];
        *text++ = left > 1 ? digits[group >> 6 & 63] : '=';
        *text++ = left > 2 ? digits[group & 63] : '=';
    }
    *text = '\0';
}

/* The value of a digit, or 64. */
static uint32_t digit_value(uint8_t digit)
{
    const char *found = digit ? strchr(digits, digit) : NULL;
    return found ? (uint32_t)(found - digits) : 64;
}

bool base64_decode(fabric_bytes_t text, uint8_t *bytes, size_t *size)
{
    if (text.size % 4 != 0) {
        return false;
    }
    size_t used = 0;
    for (size_t i = 0; i < text.size; i += 4) {
        const uint8_t *four = text.data + i;
        size_t count = 4; /* digits of this group that are not padding */
        if (i + 4 == text.size) {
            count -= four[3] == '=' ? 1 : 0;
            count -= count == 3 && four[2] == '=' ? 1 : 0;
        }
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++) {
            uint32_t value = k < count ? digit_value(four[k]) : 0;
            if (value == 64) {
                return false;
            }
            group = group << 6 | value;
        }
        if ((group & ((1u << 8 * (4 - count)) - 1)) != 0) {
            return false;
        }
        for (size_t k = 0; k < count - 1; k++) {
            bytes[used++] = (uint8_t)(group >> (16 - 8 * k));
        }
    }
    *size = used;
    return true;
}
