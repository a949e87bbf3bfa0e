/* Endpoints: checks of ZeroMQ addresses and the parsing of broker lists. */
#include "core/endpoint.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IPC_PATH_BYTES_MAX = 107, /* sun_path of a Unix socket, less its terminator */
    PORT_MAX = 65535
};

static const char TCP[] = "tcp://";
static const char IPC[] = "ipc://";
static const char FABRIC[] = "fabric://";

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The colon before the port in host:port, or NULL. A colon inside [] belongs to the host. */
static const char *find_port(const char *host)
{
    const char *bracket = strrchr(host, ']');
    return strchr(bracket ? bracket : host, ':');
}

static bool host_is_valid(const char *host, size_t size)
{
    char text[LIMIT_ENDPOINT_BYTES_MAX + 1];
    if (size == 0 || size >= sizeof text) {
        return false;
    }
    memcpy(text, host, size);
    text[size] = '\0';
    if (strcmp(text, "*") == 0) {
        return true;
    }
    if (text[0] == '[') {
        struct in6_addr address;
        if (text[size - 1] != ']') {
            return false;
        }
        text[size - 1] = '\0';
        return inet_pton(AF_INET6, text + 1, &address) == 1;
    }
    for (size_t i = 0; i < size; i++) {
        if (!isalnum((unsigned char)text[i]) && !strchr(".-_", text[i])) {
            return false;
        }
    }
    return true;
}

static bool port_is_valid(const char *port)
{
    if (strcmp(port, "*") == 0) {
        return true;
    }
    unsigned value = 0;
    const char *next = port;
    for (; isdigit((unsigned char)*next) && value <= PORT_MAX; next++) {
        value = value * 10 + (unsigned)(*next - '0');
    }
    return *next == '\0' && value >= 1 && value <= PORT_MAX;
}

static fabric_error_t check_tcp(const char *endpoint, reason_t *reason)
{
    const char *host = endpoint + sizeof TCP - 1;
    const char *colon = find_port(host);
    if (!colon || !host_is_valid(host, (size_t)(colon - host)) || !port_is_valid(colon + 1)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "endpoint '%s' must be tcp://HOST:PORT, with a port of 1..65535",
                          endpoint);
    }
    return FABRIC_OK;
}

static fabric_error_t check_ipc(const char *endpoint, reason_t *reason)
{
    size_t size = strlen(endpoint) - (sizeof IPC - 1);
    if (size == 0 || size > IPC_PATH_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "endpoint '%s' must name a path of 1..%d bytes", endpoint,
                          IPC_PATH_BYTES_MAX);
    }
    return FABRIC_OK;
}

fabric_error_t endpoint_check(const char *endpoint, reason_t *reason)
{
    if (strlen(endpoint) > LIMIT_ENDPOINT_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "endpoint '%.40s...' is longer than %d bytes", endpoint,
                          LIMIT_ENDPOINT_BYTES_MAX);
    }
    for (const char *next = endpoint; *next; next++) {
        if (!isgraph((unsigned char)*next)) {
            return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                              "an endpoint holds a space or a byte that is not printable ASCII");
        }
    }
    if (begins_with(endpoint, TCP)) {
        return check_tcp(endpoint, reason);
    }
    if (begins_with(endpoint, IPC)) {
        return check_ipc(endpoint, reason);
    }
    return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                      "endpoint '%s' must begin with tcp:// or ipc://", endpoint);
}

bool endpoint_is_local(const char *endpoint)
{
    if (begins_with(endpoint, IPC)) {
        return true;
    }
    if (!begins_with(endpoint, TCP)) {
        return false;
    }
    const char *host = endpoint + sizeof TCP - 1;
    const char *colon = find_port(host);
    char text[INET6_ADDRSTRLEN + 2];
    size_t size = colon ? (size_t)(colon - host) : strlen(host);
    if (size >= sizeof text) {
        return false;
    }
    memcpy(text, host, size);
    text[size] = '\0';
    struct in_addr address; /* "127.0.0.1.example.org" is a name, not an address */
    if (inet_pton(AF_INET, text, &address) == 1) {
        return ntohl(address.s_addr) >> 24 == 127;
    }
    return strcmp(text, "localhost") == 0 || strcmp(text, "[::1]") == 0;
}

bool endpoint_has_name(const char *endpoint, char host[LIMIT_ENDPOINT_BYTES_MAX + 1],
                       char port[ENDPOINT_PORT_SIZE])
{
    if (!begins_with(endpoint, TCP)) {
        return false;
    }
    const char *name = endpoint + sizeof TCP - 1;
    const char *colon = find_port(name);
    size_t size = colon ? (size_t)(colon - name) : 0;
    const char *digits = colon ? colon + 1 : "";
    struct in_addr address;
    digits += strspn(digits, "0"); /* what is left has at most five */
    if (size == 0 || size > LIMIT_ENDPOINT_BYTES_MAX || strlen(digits) >= ENDPOINT_PORT_SIZE) {
        return false;
    }
    memcpy(host, name, size);
    host[size] = '\0';
    strcpy(port, digits);
    return host[0] != '[' && strcmp(host, "*") != 0 && inet_pton(AF_INET, host, &address) != 1;
}

/* Turns one element of a list, text[0..size), into a ZeroMQ endpoint. */
static fabric_error_t parse_element(const char *text, size_t size, reason_t *reason,
                                    char endpoint[LIMIT_ENDPOINT_BYTES_MAX + 1])
{
    char element[LIMIT_ENDPOINT_BYTES_MAX + 1];
    if (size == 0 || size >= sizeof element) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "a broker list has an element that is empty or longer than %d bytes",
                          LIMIT_ENDPOINT_BYTES_MAX);
    }
    memcpy(element, text, size);
    element[size] = '\0';
    const char *host = begins_with(element, FABRIC) ? element + sizeof FABRIC - 1 : element;
    int length = 0;
    if (strstr(host, "://")) {
        length = snprintf(endpoint, LIMIT_ENDPOINT_BYTES_MAX + 1, "%s", host);
    } else if (find_port(host)) {
        length = snprintf(endpoint, LIMIT_ENDPOINT_BYTES_MAX + 1, "tcp://%s", host);
    } else {
        length = snprintf(endpoint, LIMIT_ENDPOINT_BYTES_MAX + 1, "tcp://%s:%d", host,
                          ENDPOINT_DEFAULT_PORT);
    }
    if (length > LIMIT_ENDPOINT_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "broker '%.40s...' makes an endpoint longer than %d bytes", element,
                          LIMIT_ENDPOINT_BYTES_MAX);
    }
    fabric_error_t error = endpoint_check(endpoint, reason);
    if (!error && strchr(endpoint, '*')) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "broker '%s': a wildcard can be listened on, not connected to", element);
    }
    return error;
}

/* Goes once over the list. `add` may be NULL: the list is only checked. */
static fabric_error_t walk_list(const char *url, reason_t *reason,
                                void (*add)(void *context, const char *endpoint), void *context)
{
    for (const char *element = url; element;) {
        const char *comma = strchr(element, ',');
        size_t size = comma ? (size_t)(comma - element) : strlen(element);
        char endpoint[LIMIT_ENDPOINT_BYTES_MAX + 1];
        fabric_error_t error = parse_element(element, size, reason, endpoint);
        if (error) {
            return error;
        }
        if (add) {
            add(context, endpoint);
        }
        element = comma ? comma + 1 : NULL;
    }
    return FABRIC_OK;
}

fabric_error_t endpoint_list_parse(const char *url, reason_t *reason,
                                   void (*add)(void *context, const char *endpoint), void *context)
{
    fabric_error_t error = walk_list(url, reason, NULL, NULL);
    return error ? error : walk_list(url, reason, add, context);
}

const char *endpoint_cluster_nodes(void)
{
    const char *nodes = getenv("CLUSTER_NODES");
    return nodes && *nodes ? nodes : NULL;
}
