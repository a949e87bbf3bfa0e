/* The text of ids. */
#include "core/ids.h"

#include <stddef.h>
#include <stdlib.h>

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

bool incarnation_parse(const char *text, incarnation_t *incarnation)
{
    incarnation_t parsed;
    if (strlen(text) != 2 * sizeof parsed.bytes || strspn(text, "0123456789abcdefABCDEF") != 32) {
        return false;
    }
    for (size_t i = 0; i < sizeof parsed.bytes; i++) {
        const char digits[] = {text[2 * i], text[2 * i + 1], '\0'};
        parsed.bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    *incarnation = parsed;
    return true;
}
