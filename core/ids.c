/* The text of ids. */
#include "core/ids.h"

#include <stddef.h>

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
