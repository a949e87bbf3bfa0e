/* Reads mysql:// URLs. */
#include "mysql/mysql_url.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FORM "mysql://user@host[:port]/database[?socket=/path]"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Copies text[0..size) with %HH resolved; false when it is empty, does not fit or is malformed. */
static bool copy_part(const char *text, size_t size, char *part, size_t capacity)
{
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            int high = i + 2 < size ? hex_value(text[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text[i + 2]) : -1;
            c = low >= 0 ? high * 16 + low : 0;
            i += 2;
        }
        if (c == 0 || used + 1 >= capacity) {
            return false;
        }
        part[used++] = (char)c;
    }
    part[used] = 0;
    return used > 0;
}

/* host, host:port, [address] or [address]:port. */
static bool parse_host(const char *text, size_t size, mysql_url_t *url)
{
    const char *end = text + size;
    const char *host = text;
    const char *host_end = memchr(text, ':', size);
    if (size > 0 && text[0] == '[') {
        host = text + 1;
        host_end = memchr(text, ']', size);
        if (!host_end) {
            return false;
        }
    }
    const char *rest = host_end ? host_end + (*host_end == ']') : end;
    if (!copy_part(host, (size_t)((host_end ? host_end : end) - host), url->host,
                   sizeof url->host)) {
        return false;
    }
    url->port = 3306;
    if (rest == end) {
        return true;
    }
    char *stop = NULL;
    unsigned long port = strtoul(rest + 1, &stop, 10);
    if (*rest != ':' || rest[1] < '0' || rest[1] > '9' || stop != end || port < 1 || port > 65535) {
        return false;
    }
    url->port = (unsigned)port;
    return true;
}

fabric_error_t mysql_url_parse(const char *text, reason_t *reason, mysql_url_t *url)
{
    static const char scheme[] = "mysql://";
    mysql_url_t parsed = {0};
    if (!text || strncmp(text, scheme, sizeof scheme - 1) != 0) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "store: the URL must have the form " FORM);
    }
    const char *user = text + sizeof scheme - 1;
    const char *slash = strchr(user, '/');
    const char *at = slash ? memrchr(user, '@', (size_t)(slash - user)) : NULL;
    if (!at || !copy_part(user, (size_t)(at - user), parsed.user, sizeof parsed.user)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "store: the URL names no user or database; its form is " FORM);
    }
    if (memchr(user, ':', (size_t)(at - user))) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "store: the password does not belong in the URL; its form is " FORM);
    }
    if (!parse_host(at + 1, (size_t)(slash - at - 1), &parsed)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "store: the URL's host or port is malformed; its form is " FORM);
    }
    size_t database_size = strcspn(slash + 1, "?/");
    if (!copy_part(slash + 1, database_size, parsed.database, sizeof parsed.database)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "store: the URL's database name must have 1 to 64 bytes");
    }
    const char *query = slash + 1 + database_size;
    static const char socket_key[] = "?socket=";
    bool has_socket = strncmp(query, socket_key, sizeof socket_key - 1) == 0;
    const char *path = query + sizeof socket_key - 1;
    if (*query &&
        !(has_socket && copy_part(path, strlen(path), parsed.socket, sizeof parsed.socket))) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "store: the URL may end only with ?socket=/path (at most 107 bytes)");
    }
    *url = parsed;
    return FABRIC_OK;
}
