/* Text from others for people's terminals: see printable.h. */
#include "core/printable.h"

#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

enum { ESCAPE_SIZE = 4 };

/* The size of the first character if it may be printed as it is; 0: its first byte is to be
 * escaped. */
static size_t plain_size(const char *text)
{
    const uint8_t *bytes = (const uint8_t *)text;
    if (bytes[0] < 0x80) {
        return bytes[0] >= ' ' && bytes[0] != 0x7f;
    }
    if (bytes[0] == 0xc2 && bytes[1] < 0xa0) { /* C1: terminals take U+009B for ESC [ */
        return 0;
    }
    return utf8_sequence_size(bytes, strnlen(text, 4));
}

void printable_copy(const char *text, char *copy, size_t copy_size)
{
    size_t used = 0;
    while (*text) {
        size_t plain = plain_size(text);
        size_t taken = plain > 0 ? plain : ESCAPE_SIZE;
        if (copy_size - used <= taken) {
            break;
        }
        if (plain > 0) {
            memcpy(copy + used, text, plain);
        } else {
            snprintf(copy + used, copy_size - used, "\\x%02x", (unsigned char)*text);
        }
        used += taken;
        text += plain > 0 ? plain : 1;
    }
    copy[used] = '\0';
}

void printable_url(const char *url, char *copy, size_t copy_size)
{
    char masked[PRINTABLE_SIZE(256)];
    const char *slashes = strstr(url, "://");
    const char *at = slashes ? strrchr(slashes, '@') : NULL;
    const char *colon = at ? memchr(slashes + 3, ':', (size_t)(at - slashes - 3)) : NULL;
    if (!colon) {
        printable_copy(url, copy, copy_size);
        return;
    }
    snprintf(masked, sizeof masked, "%.*s***%s", (int)(colon - url + 1), url, at);
    printable_copy(masked, copy, copy_size);
}
