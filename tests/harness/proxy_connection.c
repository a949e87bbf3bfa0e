/* One connection through the proxy: two flows of chunks, each read from one socket and written to
 * the other when it is due. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness/proxy_state.h"
#include "tests/harness/socket_owner.h"

enum { READ_BYTES = 65536, QUEUE_BYTES_MAX = 1 << 20, CLIENT = 0, SERVER = 1 };

/* Bytes read at one time; none: the end of what the sender sends. */
typedef struct chunk {
    struct chunk *next;
    uint64_t read_ms;
    size_t size;
    size_t at; /* the first not yet written */
    uint8_t bytes[];
} chunk_t;

typedef struct flow {
    chunk_t *first;
    chunk_t **end;
    size_t queued;
    bool read_ended;
    bool write_ended;
    bool full; /* the other side's socket takes no more at present */
} flow_t;

/* What becomes of a connection that has lost bytes. */
typedef enum spoilt { SPOILT_NOT, SPOILT_WAITS_FOR_ANSWER, SPOILT_ENDS, SPOILT_STALLS } spoilt_t;

struct connection {
    int sockets[2]; /* CLIENT, SERVER */
    bool connecting;
    flow_t flows[DIRECTIONS]; /* TO_SERVER reads from CLIENT, TO_CLIENT from SERVER */
    packets_t packets;
    answer_t answer;
    spoilt_t spoilt;
    proxy_ending_t spoilt_how;
    bool held;
};

static int reader_of(int direction)
{
    return direction == TO_SERVER ? CLIENT : SERVER;
}

static int writer_of(int direction)
{
    return direction == TO_SERVER ? SERVER : CLIENT;
}

static void set_socket_options(int socket)
{
    int one = 1;
    (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

connection_t *connection_new(int client, const struct sockaddr_in *server)
{
    int other = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool connected =
        other >= 0 && connect(other, (const struct sockaddr *)server, sizeof *server) == 0;
    connection_t *connection = calloc(1, sizeof *connection);
    if (!connection) {
        abort();
    }
    *connection = (connection_t){.sockets = {client, other}, .connecting = !connected};
    for (int i = 0; i < DIRECTIONS; i++) {
        connection->flows[i].end = &connection->flows[i].first;
    }
    if (other < 0 || (!connected && errno != EINPROGRESS)) {
        connection_destroy(&connection, PROXY_RESET);
        return NULL;
    }
    set_socket_options(client);
    set_socket_options(other);
    return connection;
}

static void drop_first(flow_t *flow)
{
    chunk_t *chunk = flow->first;
    flow->first = chunk->next;
    flow->queued -= chunk->size;
    if (!flow->first) {
        flow->end = &flow->first;
    }
    free(chunk);
}

void connection_destroy(connection_t **connection, proxy_ending_t how)
{
    connection_t *self = *connection;
    for (int i = 0; i < 2; i++) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        if (self->sockets[i] >= 0) {
            if (how == PROXY_RESET) {
                (void)setsockopt(self->sockets[i], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
            }
            close(self->sockets[i]);
        }
        while (self->flows[i].first) {
            drop_first(&self->flows[i]);
        }
    }
    free(self);
    *connection = NULL;
}

bool connection_has_lost_bytes(const connection_t *connection)
{
    return connection->spoilt != SPOILT_NOT;
}

size_t connection_waiting(const connection_t *connection, int direction)
{
    return connection->flows[direction].queued;
}

bool connection_is_held(const connection_t *connection)
{
    return connection->held;
}

void connection_hold(connection_t *connection)
{
    connection->held = true;
}

void connection_hold_process(connection_t *connection, pid_t process)
{
    connection->held = connection->held || socket_owner_is(connection->sockets[CLIENT], process);
}

void connection_release(connection_t *connection)
{
    connection->held = false;
}

/* ---- reading ---- */

static void queue_bytes(flow_t *flow, const uint8_t *bytes, size_t size, uint64_t now_ms)
{
    chunk_t *chunk = malloc(sizeof *chunk + size);
    if (!chunk) {
        abort();
    }
    *chunk = (chunk_t){.read_ms = now_ms, .size = size};
    if (size > 0) {
        memcpy(chunk->bytes, bytes, size);
    }
    *flow->end = chunk;
    flow->end = &chunk->next;
    flow->queued += size;
}

static void end_spoilt(connection_t *self)
{
    self->spoilt = self->spoilt_how == PROXY_STALL ? SPOILT_STALLS : SPOILT_ENDS;
}

/* Decides about a commit. True: it is not forwarded. */
static bool take_commit(connection_t *self, proxy_rules_t *rules, proxy_commit_t kind)
{
    rules->commits[kind]++;
    if (rules->lose_count == 0 || rules->lose_kind != kind) {
        return false;
    }
    rules->lose_count--;
    self->spoilt_how = rules->lose_how;
    self->answer = (answer_t){0};
    self->spoilt = SPOILT_WAITS_FOR_ANSWER;
    if (rules->lose_what == PROXY_LOSE_COMMIT) {
        rules->lost[PROXY_LOSE_COMMIT]++;
        end_spoilt(self);
        return true;
    }
    return false;
}

static void take_client_bytes(connection_t *self, proxy_rules_t *rules, const uint8_t *bytes,
                              size_t size, uint64_t now_ms)
{
    uint8_t pass[READ_BYTES + 2 * PACKET_HEAD_BYTES];
    bool lost = false;
    for (size_t at = 0; at < size && !lost;) {
        size_t pass_bytes = 0;
        packets_found_t found = packets_read(&self->packets, bytes, size, &at, pass, &pass_bytes);
        if (found != PACKETS_NOTHING) {
            lost = take_commit(self, rules,
                               found == PACKETS_COMMIT ? PROXY_TRANSACTION : PROXY_APPEND);
            if (!lost) {
                packets_release(&self->packets, pass, &pass_bytes);
            }
        }
        if (pass_bytes > 0) {
            queue_bytes(&self->flows[TO_SERVER], pass, pass_bytes, now_ms);
        }
    }
}

static void take_bytes(connection_t *self, int direction, proxy_rules_t *rules,
                       const uint8_t *bytes, size_t size, uint64_t now_ms)
{
    bool ok = false;
    if (direction == TO_CLIENT) {
        packets_read_answer(&self->packets, bytes, size);
    }
    if (direction == TO_SERVER && rules->hold &&
        memmem(bytes, size, rules->hold, strlen(rules->hold))) {
        self->held = true;
    }
    if (rules->protocol == PROXY_MYSQL && direction == TO_SERVER) {
        take_client_bytes(self, rules, bytes, size, now_ms);
    } else if (direction == TO_CLIENT && self->spoilt == SPOILT_WAITS_FOR_ANSWER) {
        if (answer_read(&self->answer, bytes, size, &ok)) {
            rules->lost[PROXY_LOSE_ANSWER] += ok;
            end_spoilt(self);
        }
    } else {
        queue_bytes(&self->flows[direction], bytes, size, now_ms);
    }
}

static bool may_read(const connection_t *self, int direction)
{
    const flow_t *flow = &self->flows[direction];
    return !self->connecting && !flow->read_ended && flow->queued < QUEUE_BYTES_MAX &&
           self->spoilt != SPOILT_STALLS;
}

static void read_flow(connection_t *self, int direction, proxy_rules_t *rules, uint64_t now_ms)
{
    uint8_t bytes[READ_BYTES];
    while (may_read(self, direction)) {
        ssize_t got = recv(self->sockets[reader_of(direction)], bytes, sizeof bytes, MSG_DONTWAIT);
        if (got > 0) {
            if (direction == TO_CLIENT && rules->protocol == PROXY_MYSQL) {
                packets_weaken_greeting(&self->packets, bytes, (size_t)got);
            }
            take_bytes(self, direction, rules, bytes, (size_t)got, now_ms);
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            self->flows[direction].read_ended = true;
            queue_bytes(&self->flows[direction], NULL, 0, now_ms);
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

/* ---- writing ---- */

static bool is_stalled(const connection_t *self, const proxy_rule_t *rule)
{
    return self->connecting || self->held || self->spoilt == SPOILT_STALLS ||
           rule->stall_after == 0;
}

static void count_down(uint64_t *limit, size_t bytes)
{
    *limit -= *limit == PROXY_NEVER ? 0 : bytes;
}

static size_t at_most(size_t bytes, uint64_t limit)
{
    return bytes < limit ? bytes : (size_t)limit;
}

/* How many bytes of a chunk may go in one piece: up to where a fault strikes. */
static size_t piece_bytes(const chunk_t *chunk, const proxy_rule_t *rule)
{
    size_t bytes = at_most(chunk->size - chunk->at, rule->stall_after);
    bytes = at_most(bytes, rule->cut_after);
    return rule->corrupt_after > 0 ? at_most(bytes, rule->corrupt_after) : bytes;
}

static void corrupt(chunk_t *chunk, proxy_rule_t *rule)
{
    if (rule->corrupt_after == 0) {
        chunk->bytes[chunk->at] ^= 0x10;
        rule->corrupt_after = PROXY_NEVER;
    }
}

static void end_writing(connection_t *self, int direction)
{
    flow_t *flow = &self->flows[direction];
    (void)shutdown(self->sockets[writer_of(direction)], SHUT_WR);
    flow->write_ended = true;
    while (flow->first) {
        drop_first(flow);
    }
}

/* Writes the first chunk as far as possible. False when there is no more to do now. */
static bool write_chunk(connection_t *self, int direction, proxy_rule_t *rule)
{
    flow_t *flow = &self->flows[direction];
    chunk_t *chunk = flow->first;
    if (chunk->size == 0) {
        end_writing(self, direction);
        return false;
    }
    corrupt(chunk, rule);
    ssize_t put = send(self->sockets[writer_of(direction)], chunk->bytes + chunk->at,
                       piece_bytes(chunk, rule), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0) {
        flow->full = errno == EAGAIN;
        if (errno != EAGAIN && errno != EINTR) {
            end_writing(self, direction); /* the reader is gone, and the other flow will end too */
        }
        return false;
    }
    count_down(&rule->stall_after, (size_t)put);
    count_down(&rule->corrupt_after, (size_t)put);
    count_down(&rule->cut_after, (size_t)put);
    rule->forwarded += (uint64_t)put;
    chunk->at += (size_t)put;
    if (chunk->at == chunk->size) {
        drop_first(flow);
    }
    return true;
}

/* False: the connection is cut. */
static bool write_flow(connection_t *self, int direction, proxy_rule_t *rule, uint64_t now_ms)
{
    flow_t *flow = &self->flows[direction];
    flow->full = false;
    while (flow->first && !is_stalled(self, rule) && !flow->write_ended &&
           flow->first->read_ms + rule->delay_ms <= now_ms) {
        if (rule->cut_after == 0 && flow->first->size > 0) {
            rule->cut_after = PROXY_NEVER;
            return false;
        }
        if (!write_chunk(self, direction, rule)) {
            break;
        }
    }
    while (flow->write_ended && flow->first) {
        drop_first(flow);
    }
    return true;
}

/* ---- the whole ---- */

void connection_want(const connection_t *connection, const proxy_rules_t *rules,
                     struct pollfd items[2])
{
    for (int i = 0; i < 2; i++) {
        items[i] = (struct pollfd){.fd = connection->sockets[i]};
    }
    if (connection->connecting) {
        items[SERVER].events = POLLOUT;
    }
    for (int i = 0; i < DIRECTIONS; i++) {
        if (may_read(connection, i)) {
            items[reader_of(i)].events |= POLLIN;
        }
        if (connection->flows[i].full && !is_stalled(connection, &rules->directions[i])) {
            items[writer_of(i)].events |= POLLOUT;
        }
    }
    for (int i = 0; i < 2; i++) {
        if (items[i].events == 0) {
            items[i].fd = -1; /* otherwise poll would report a hang-up that is to be ignored */
        }
    }
}

uint64_t connection_deadline(const connection_t *connection, const proxy_rules_t *rules)
{
    uint64_t deadline_ms = PROXY_NEVER;
    for (int i = 0; i < DIRECTIONS; i++) {
        const flow_t *flow = &connection->flows[i];
        if (flow->first && !flow->full && !is_stalled(connection, &rules->directions[i])) {
            uint64_t due_ms = flow->first->read_ms + rules->directions[i].delay_ms;
            deadline_ms = due_ms < deadline_ms ? due_ms : deadline_ms;
        }
    }
    return deadline_ms;
}

/* False when the server refused. */
static bool finish_connecting(connection_t *self)
{
    int error = 0;
    socklen_t size = sizeof error;
    struct pollfd item = {.fd = self->sockets[SERVER], .events = POLLOUT};
    if (!self->connecting || poll(&item, 1, 0) == 0) {
        return true;
    }
    (void)getsockopt(self->sockets[SERVER], SOL_SOCKET, SO_ERROR, &error, &size);
    self->connecting = false;
    return error == 0;
}

bool connection_step(connection_t *connection, proxy_rules_t *rules, uint64_t now_ms,
                     proxy_ending_t *how)
{
    *how = PROXY_RESET;
    if (!finish_connecting(connection)) {
        return false;
    }
    for (int i = 0; i < DIRECTIONS; i++) {
        read_flow(connection, i, rules, now_ms);
        if (!write_flow(connection, i, &rules->directions[i], now_ms)) {
            *how = rules->directions[i].cut_how;
            return false;
        }
    }
    if (connection->spoilt == SPOILT_ENDS) {
        *how = connection->spoilt_how;
        return false;
    }
    *how = PROXY_CLOSE;
    return !(connection->flows[TO_SERVER].write_ended && connection->flows[TO_CLIENT].write_ended);
}
