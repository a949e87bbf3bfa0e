/* The proxy's controls and its thread: see proxy.h. */
#include "tests/harness/proxy.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/harness/proxy_state.h"

enum { CONNECTIONS_MAX = 256, BACKLOG = 128, WAKE = 0, LISTEN = 1, FIRST = 2 };

struct proxy {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t applied_changed;
    int wake_fd;
    int port_fd;   /* bound, never listens: keeps the port while none listens */
    int listen_fd; /* -1: refusing */
    uint16_t port;
    struct sockaddr_in server;
    /* The fields below are used under the lock. */
    bool stopping;
    uint64_t wanted;  /* controls called */
    uint64_t applied; /* controls in force */
    bool refuse;
    bool heal;
    bool hold_present;
    bool cut;
    proxy_ending_t cut_how;
    pid_t held_process; /* 0: none */
    proxy_rules_t rules;
    connection_t *connections[CONNECTIONS_MAX];
    uint32_t connection_count;
    uint64_t accepted;
};

/* ---- sockets ---- */

/* A socket bound to a port of 127.0.0.1; -1. Several may be bound to one while one listens. */
static int bind_port(uint16_t *port)
{
    int one = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int made = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0 || setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        bind(made, (const struct sockaddr *)&address, sizeof address) ||
        getsockname(made, (struct sockaddr *)&address, &size)) {
        if (made >= 0) {
            close(made);
        }
        return -1;
    }
    *port = ntohs(address.sin_port);
    return made;
}

static int listen_on(uint16_t port)
{
    int made = bind_port(&port);
    if (made >= 0 && listen(made, BACKLOG)) {
        close(made);
        made = -1;
    }
    return made;
}

/* ---- the thread ---- */

static void remove_connection(proxy_t *proxy, uint32_t index, proxy_ending_t how)
{
    connection_destroy(&proxy->connections[index], how);
    proxy->connections[index] = proxy->connections[--proxy->connection_count];
}

static void accept_connections(proxy_t *proxy)
{
    while (proxy->listen_fd >= 0 && proxy->connection_count < CONNECTIONS_MAX) {
        int client = accept4(proxy->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0) {
            return;
        }
        proxy->accepted++;
        connection_t *made = connection_new(client, &proxy->server);
        if (made && proxy->held_process) {
            connection_hold_process(made, proxy->held_process);
        }
        if (made) {
            proxy->connections[proxy->connection_count++] = made;
        }
    }
}

static void step_connections(proxy_t *proxy, uint64_t now_ms)
{
    for (uint32_t i = proxy->connection_count; i-- > 0;) {
        proxy_ending_t how = PROXY_CLOSE;
        if (!connection_step(proxy->connections[i], &proxy->rules, now_ms, &how)) {
            remove_connection(proxy, i, how);
        }
    }
}

static void apply_controls(proxy_t *proxy)
{
    for (uint32_t i = proxy->connection_count; i-- > 0;) {
        if (proxy->cut || (proxy->heal && connection_has_lost_bytes(proxy->connections[i]))) {
            remove_connection(proxy, i, proxy->cut ? proxy->cut_how : PROXY_RESET);
        } else if (proxy->heal) {
            connection_release(proxy->connections[i]);
        }
    }
    for (uint32_t i = 0; proxy->hold_present && i < proxy->connection_count; i++) {
        connection_hold(proxy->connections[i]);
    }
    for (uint32_t i = 0; proxy->held_process && i < proxy->connection_count; i++) {
        connection_hold_process(proxy->connections[i], proxy->held_process);
    }
    proxy->heal = proxy->cut = proxy->hold_present = false;
    if (proxy->refuse && proxy->listen_fd >= 0) {
        close(proxy->listen_fd);
        proxy->listen_fd = -1;
    } else if (!proxy->refuse && proxy->listen_fd < 0) {
        proxy->listen_fd = listen_on(proxy->port);
    }
}

/* Fills in what to wait for; returns how many. */
static nfds_t gather(const proxy_t *proxy, struct pollfd *items, uint64_t *deadline_ms)
{
    bool accepts = proxy->connection_count < CONNECTIONS_MAX;
    items[WAKE] = (struct pollfd){.fd = proxy->wake_fd, .events = POLLIN};
    items[LISTEN] = (struct pollfd){.fd = accepts ? proxy->listen_fd : -1, .events = POLLIN};
    *deadline_ms = PROXY_NEVER;
    for (uint32_t i = 0; i < proxy->connection_count; i++) {
        connection_want(proxy->connections[i], &proxy->rules, &items[FIRST + 2 * i]);
        uint64_t due_ms = connection_deadline(proxy->connections[i], &proxy->rules);
        *deadline_ms = due_ms < *deadline_ms ? due_ms : *deadline_ms;
    }
    return FIRST + 2 * (nfds_t)proxy->connection_count;
}

static void wait_for(struct pollfd *items, nfds_t count, uint64_t deadline_ms)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t wait_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    uint64_t wakes;
    (void)poll(items, count, deadline_ms == PROXY_NEVER ? -1 : (int)wait_ms);
    if (items[WAKE].revents) {
        ssize_t got = read(items[WAKE].fd, &wakes, sizeof wakes);
        (void)got; /* only the wake-up matters */
    }
}

static void *run(void *context)
{
    proxy_t *proxy = context;
    struct pollfd items[FIRST + 2 * CONNECTIONS_MAX];
    pthread_mutex_lock(&proxy->lock);
    while (!proxy->stopping) {
        uint64_t deadline_ms;
        accept_connections(proxy);
        apply_controls(proxy);
        step_connections(proxy, clock_monotonic_ms());
        proxy->applied = proxy->wanted;
        pthread_cond_broadcast(&proxy->applied_changed);
        nfds_t count = gather(proxy, items, &deadline_ms);
        pthread_mutex_unlock(&proxy->lock);
        wait_for(items, count, deadline_ms);
        pthread_mutex_lock(&proxy->lock);
    }
    while (proxy->connection_count > 0) {
        remove_connection(proxy, 0, PROXY_RESET);
    }
    pthread_mutex_unlock(&proxy->lock);
    return NULL;
}

/* ---- starting and stopping ---- */

static void wake(const proxy_t *proxy)
{
    uint64_t one = 1;
    ssize_t put = write(proxy->wake_fd, &one, sizeof one);
    (void)put; /* a full eventfd is readable already */
}

static void clear_rules(proxy_rules_t *rules)
{
    for (int i = 0; i < DIRECTIONS; i++) {
        rules->directions[i] = (proxy_rule_t){.stall_after = PROXY_NEVER,
                                              .corrupt_after = PROXY_NEVER,
                                              .cut_after = PROXY_NEVER,
                                              .forwarded = rules->directions[i].forwarded};
    }
    rules->lose_count = 0;
    rules->hold = NULL;
}

/* The thread takes no signals: they are for the test. */
static bool start_thread(proxy_t *proxy)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&proxy->thread, NULL, run, proxy);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

static void release(proxy_t *proxy)
{
    const int files[] = {proxy->wake_fd, proxy->port_fd, proxy->listen_fd};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (files[i] >= 0) {
            close(files[i]);
        }
    }
    pthread_cond_destroy(&proxy->applied_changed);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}

proxy_t *proxy_start(const char *host, unsigned port, proxy_protocol_t protocol)
{
    proxy_t *proxy = calloc(1, sizeof *proxy);
    if (!proxy) {
        abort();
    }
    pthread_mutex_init(&proxy->lock, NULL);
    pthread_cond_init(&proxy->applied_changed, NULL);
    proxy->server.sin_family = AF_INET;
    proxy->rules.protocol = protocol;
    clear_rules(&proxy->rules);
    proxy->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    proxy->port_fd = bind_port(&proxy->port);
    proxy->listen_fd = proxy->port_fd >= 0 ? listen_on(proxy->port) : -1;
    proxy->server.sin_port = htons(port ? (uint16_t)port : proxy->port);
    if (inet_pton(AF_INET, host, &proxy->server.sin_addr) != 1 || proxy->wake_fd < 0 ||
        proxy->listen_fd < 0 || !start_thread(proxy)) {
        release(proxy);
        return NULL;
    }
    return proxy;
}

void proxy_stop(proxy_t **proxy)
{
    proxy_t *self = *proxy;
    if (!self) {
        return;
    }
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_mutex_unlock(&self->lock);
    wake(self);
    pthread_join(self->thread, NULL);
    release(self);
    *proxy = NULL;
}

uint16_t proxy_port(const proxy_t *proxy)
{
    return proxy->port;
}

/* ---- controls ---- */

/* After a change under the lock: waits until it is in force, and unlocks. */
static void put_in_force(proxy_t *proxy)
{
    uint64_t wanted = ++proxy->wanted;
    wake(proxy);
    while (proxy->applied < wanted) {
        pthread_cond_wait(&proxy->applied_changed, &proxy->lock);
    }
    pthread_mutex_unlock(&proxy->lock);
}

static bool concerns(proxy_direction_t directions, int direction)
{
    return ((unsigned)directions & (direction == TO_SERVER ? PROXY_TO_SERVER : PROXY_TO_CLIENT)) !=
           0;
}

void proxy_heal(proxy_t *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    clear_rules(&proxy->rules);
    proxy->refuse = false;
    proxy->held_process = 0;
    proxy->heal = true;
    put_in_force(proxy);
}

void proxy_delay(proxy_t *proxy, proxy_direction_t directions, uint32_t ms)
{
    pthread_mutex_lock(&proxy->lock);
    for (int i = 0; i < DIRECTIONS; i++) {
        if (concerns(directions, i)) {
            proxy->rules.directions[i].delay_ms = ms;
        }
    }
    put_in_force(proxy);
}

void proxy_hold(proxy_t *proxy, const char *text)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->rules.hold = text;
    put_in_force(proxy);
}

void proxy_hold_present(proxy_t *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->hold_present = true;
    put_in_force(proxy);
}

void proxy_hold_process(proxy_t *proxy, pid_t process)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->held_process = process;
    put_in_force(proxy);
}

void proxy_stall(proxy_t *proxy, proxy_direction_t directions, uint64_t after_bytes)
{
    pthread_mutex_lock(&proxy->lock);
    for (int i = 0; i < DIRECTIONS; i++) {
        if (concerns(directions, i)) {
            proxy->rules.directions[i].stall_after = after_bytes;
        }
    }
    put_in_force(proxy);
}

void proxy_corrupt(proxy_t *proxy, proxy_direction_t directions, uint64_t after_bytes)
{
    pthread_mutex_lock(&proxy->lock);
    for (int i = 0; i < DIRECTIONS; i++) {
        if (concerns(directions, i)) {
            proxy->rules.directions[i].corrupt_after = after_bytes;
        }
    }
    put_in_force(proxy);
}

void proxy_cut(proxy_t *proxy, proxy_ending_t how)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->cut = true;
    proxy->cut_how = how;
    put_in_force(proxy);
}

void proxy_cut_after(proxy_t *proxy, proxy_direction_t directions, uint64_t after_bytes,
                     proxy_ending_t how)
{
    pthread_mutex_lock(&proxy->lock);
    for (int i = 0; i < DIRECTIONS; i++) {
        if (concerns(directions, i)) {
            proxy->rules.directions[i].cut_after = after_bytes;
            proxy->rules.directions[i].cut_how = how;
        }
    }
    put_in_force(proxy);
}

void proxy_refuse(proxy_t *proxy, bool refuse)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->refuse = refuse;
    put_in_force(proxy);
}

void proxy_lose_commits(proxy_t *proxy, proxy_commit_t kind, proxy_loss_t what, uint32_t count,
                        proxy_ending_t how)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->rules.lose_kind = kind;
    proxy->rules.lose_what = what;
    proxy->rules.lose_count = count;
    proxy->rules.lose_how = how;
    put_in_force(proxy);
}

/* ---- counts ---- */

static uint64_t read_count(proxy_t *proxy, const uint64_t *count)
{
    pthread_mutex_lock(&proxy->lock);
    uint64_t value = *count;
    pthread_mutex_unlock(&proxy->lock);
    return value;
}

uint64_t proxy_lost_commits(proxy_t *proxy, proxy_loss_t what)
{
    return read_count(proxy, &proxy->rules.lost[what]);
}

uint64_t proxy_commits(proxy_t *proxy, proxy_commit_t kind)
{
    return read_count(proxy, &proxy->rules.commits[kind]);
}

uint64_t proxy_bytes(proxy_t *proxy, proxy_direction_t direction)
{
    return read_count(
        proxy,
        &proxy->rules.directions[direction == PROXY_TO_SERVER ? TO_SERVER : TO_CLIENT].forwarded);
}

uint64_t proxy_waiting(proxy_t *proxy, proxy_direction_t direction)
{
    uint64_t bytes = 0;
    pthread_mutex_lock(&proxy->lock);
    for (uint32_t i = 0; i < proxy->connection_count; i++) {
        bytes += connection_waiting(proxy->connections[i],
                                    direction == PROXY_TO_SERVER ? TO_SERVER : TO_CLIENT);
    }
    pthread_mutex_unlock(&proxy->lock);
    return bytes;
}

uint32_t proxy_held(proxy_t *proxy)
{
    uint32_t count = 0;
    pthread_mutex_lock(&proxy->lock);
    for (uint32_t i = 0; i < proxy->connection_count; i++) {
        count += connection_is_held(proxy->connections[i]);
    }
    pthread_mutex_unlock(&proxy->lock);
    return count;
}

uint32_t proxy_connections(proxy_t *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    uint32_t count = proxy->connection_count;
    pthread_mutex_unlock(&proxy->lock);
    return count;
}

uint64_t proxy_accepted(proxy_t *proxy)
{
    return read_count(proxy, &proxy->accepted);
}
