/* The link on a thread of its own: see link_zmq.h. */
#include "worker/link_zmq.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <zmq.h>

#include "core/clock.h"
#include "core/crash_point.h"
#include "core/connector_zmq.h"
#include "core/context_zmq.h"
#include "core/memory.h"
#include "core/poll_zmq.h"

/* How many frames of one socket are read before it is the turn of the next socket. */
#define FRAMES_PER_TURN 64
#define SOCKETS_MAX     1023
/* How often executors are looked at in the time after which one of them is stuck, or the handler of
 * one is slow; and at most once in so many milliseconds. */
#define LOOKS        10u
#define LOOKS_MS_MIN 10u

/* Received frames up to this size are copied: libzmq keeps small messages in buffers of some 20 kB,
 * so a small frame that is kept would hold much more memory than it needs. */
#define COPIED_BYTES_MAX 4096u

/* One broker's socket. */
typedef struct connection {
    connector_t connector;
    int item;     /* its socket's place among the items that were polled, its monitor's is the next
                   * one; 0: it had no socket */
    bool blocked; /* `unsent` holds a frame that did not go out */
    zmq_msg_t unsent;
} connection_t;

/* A received frame whose bytes stay libzmq's. */
typedef struct zmq_frame {
    work_frame_t frame;
    zmq_msg_t message;
} zmq_frame_t;

struct link_zmq {
    link_t *link;
    connector_host_t host;
    int wake; /* an eventfd */
    uint32_t executor_count;
    executor_thread_t **executors;
    uint64_t *steps;        /* of each executor: when its present step began */
    uint64_t look_ms;       /* when the executors are looked at next, */
    uint64_t looks_ms;      /* and how often */
    work_t **first, **last; /* one pair for each executor: work to be handed over */
    void (*on_event)(void *context, const link_event_t *event);
    void *event_context;
    bool started;
    pthread_t thread;
    atomic_bool leaving;
    bool leave_begun; /* link_leave was called */
    connection_t connections[LINK_ENDPOINTS_MAX];
    zmq_pollitem_t items[1 + 2 * LINK_ENDPOINTS_MAX];
};

static uint64_t looks_ms(const link_config_t *config)
{
    uint32_t limit_ms = config->slow_ms < config->stuck_ms ? config->slow_ms : config->stuck_ms;
    return limit_ms / LOOKS < LOOKS_MS_MIN ? LOOKS_MS_MIN : limit_ms / LOOKS + 1;
}

fabric_error_t link_zmq_new(const link_config_t *config,
                            void (*on_event)(void *context, const link_event_t *event),
                            void *context, reason_t *reason, link_zmq_t **link)
{
    int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake < 0) {
        return reason_set(reason, FABRIC_ERROR_NO_RESOURCES, "no descriptor: %s", strerror(errno));
    }
    void *zmq = NULL;
    fabric_error_t error = context_open(SOCKETS_MAX, reason, &zmq);
    if (error) {
        close(wake);
        return error;
    }
    link_zmq_t *self = (link_zmq_t *)memory_allocate_zeroed(1, sizeof *self);
    self->wake = wake;
    self->host = (connector_host_t){.zmq = zmq, .wake = link_zmq_notify, .wake_context = self};
    self->link = link_new(config, clock_monotonic_ms());
    self->executor_count = config->executors;
    self->executors = (executor_thread_t **)memory_allocate_zeroed(config->executors,
                                                                   sizeof(executor_thread_t *));
    self->steps = (uint64_t *)memory_allocate_zeroed(config->executors, sizeof(uint64_t));
    self->looks_ms = looks_ms(config);
    self->first = (work_t **)memory_allocate_zeroed(config->executors, sizeof(work_t *));
    self->last = (work_t **)memory_allocate_zeroed(config->executors, sizeof(work_t *));
    self->on_event = on_event;
    self->event_context = context;
    *link = self;
    return FABRIC_OK;
}

fabric_error_t link_zmq_add_endpoint(link_zmq_t *link, const char *endpoint)
{
    return link_add_endpoint(link->link, endpoint);
}

void link_zmq_notify(void *link)
{
    uint64_t one = 1;
    ssize_t written = write(((link_zmq_t *)link)->wake, &one, sizeof one);
    (void)written; /* fails only when a wake is there already */
}

/* ---- sockets ---- */

/* Drops a frame that could not be sent on the former connection. */
static void connection_forget(connection_t *connection)
{
    if (connection->blocked) {
        zmq_msg_close(&connection->unsent);
        connection->blocked = false;
    }
}

static void connection_close(connection_t *connection)
{
    connection_forget(connection);
    connector_close(&connection->connector, 0);
}

static void follow_sockets(link_zmq_t *self, uint64_t now_ms)
{
    uint32_t index;
    link_socket_t action;
    while (link_next_socket(self->link, &index, &action)) {
        connection_t *connection = &self->connections[index];
        if (action == LINK_SOCKET_CLOSE) {
            connection_close(connection);
        } else {
            connection_forget(connection);
            connector_open(&connection->connector, &self->host,
                           link_endpoint_name(self->link, index), now_ms);
        }
    }
}

static void tick_connector(link_zmq_t *self, uint32_t index, uint64_t now_ms)
{
    connector_t *connector = &self->connections[index].connector;
    reason_t reason;
    if (!connector_is_idle(connector) &&
        connector_tick(connector, &self->host, now_ms, &reason) == CONNECTOR_UNRESOLVED) {
        link_event_t event = {.kind = LINK_EVENT_UNRESOLVED, .error = FABRIC_ERROR_NOT_CONNECTED};
        snprintf(event.endpoint, sizeof event.endpoint, "%s", connector->endpoint);
        snprintf(event.text, sizeof event.text, "%.250s", reason.text);
        self->on_event(self->event_context, &event);
    }
}

static void take_monitor(link_zmq_t *self, uint32_t index, uint64_t now_ms)
{
    connection_t *connection = &self->connections[index];
    for (;;) {
        switch (connector_next_event(&connection->connector, now_ms)) {
        case CONNECTOR_CONNECTED:
            link_connected(self->link, index, now_ms);
            break;
        case CONNECTOR_DISCONNECTED:
            link_disconnected(self->link, index, now_ms);
            break;
        case CONNECTOR_UNRESOLVED:
        case CONNECTOR_NOTHING:
            return;
        }
        connection_forget(connection);
    }
}

/* Work is about to be handed to an executor. */
static void pass_work_points(work_kind_t kind)
{
    if (kind == WORK_BEGIN) {
        CRASH_POINT(WORKER_ASSIGNED);
    } else if (kind == WORK_DELIVERIES) {
        CRASH_POINT(WORKER_RECEIVED);
    } else if (kind == WORK_STOP) {
        CRASH_POINT(WORKER_STOPPING);
    }
}

static void give_work(link_zmq_t *self)
{
    for (work_t *work; (work = link_next_work(self->link));) {
        uint32_t executor = work->executor;
        pass_work_points(work->kind);
        if (self->first[executor]) {
            self->last[executor]->next = work;
        } else {
            self->first[executor] = work;
        }
        self->last[executor] = work;
    }
    for (uint32_t i = 0; i < self->executor_count; i++) {
        executor_thread_give(self->executors[i], &self->first[i]);
    }
}

static void tell_events(link_zmq_t *self)
{
    link_event_t event;
    while (link_next_event(self->link, &event)) {
        if (event.kind == LINK_EVENT_WELCOMED) {
            CRASH_POINT(WORKER_WELCOMED);
        }
        if (event.kind == LINK_EVENT_STUCK &&
            !executor_thread_describe(self->executors[event.executor], event.text,
                                      sizeof event.text)) {
            snprintf(event.text, sizeof event.text, "no handler runs");
        }
        self->on_event(self->event_context, &event);
    }
}

/* A broker's welcome is told before work from the broker is given to an executor: if a handler
 * crashes, the broker has been noted. */
static void pass_on(link_zmq_t *self)
{
    tell_events(self);
    give_work(self);
}

static void release_zmq_frame(work_frame_t *frame)
{
    zmq_frame_t *self = (zmq_frame_t *)frame;
    zmq_msg_close(&self->message);
    free(self);
}

/* A frame of a message's bytes; the message is empty afterwards, or still to be closed. */
static work_frame_t *frame_of(zmq_msg_t *message)
{
    if (zmq_msg_size(message) <= COPIED_BYTES_MAX) {
        return work_frame_copy(fabric_bytes(zmq_msg_data(message), zmq_msg_size(message)));
    }
    zmq_frame_t *self = (zmq_frame_t *)memory_allocate(sizeof *self);
    zmq_msg_init(&self->message);
    zmq_msg_move(&self->message, message);
    work_frame_init(&self->frame,
                    fabric_bytes(zmq_msg_data(&self->message), zmq_msg_size(&self->message)),
                    release_zmq_frame);
    return &self->frame;
}

/* One message is one frame. Of a message of several parts nothing more is read: a DEALER of libzmq
 * 4.3.4 with ZMQ_IMMEDIATE whose connection breaks between two parts ends the process. */
static bool take_frame(link_zmq_t *self, uint32_t index, zmq_msg_t *part, uint64_t now_ms)
{
    void *dealer = self->connections[index].connector.socket;
    if (zmq_msg_recv(part, dealer, ZMQ_DONTWAIT) < 0) {
        return false;
    }
    if (zmq_msg_more(part)) {
        link_unreadable(self->link, index, now_ms);
        return false;
    }
    work_frame_t *frame = frame_of(part);
    link_receive(self->link, index, frame, now_ms);
    work_frame_drop(frame);
    return true;
}

static void take_frames(link_zmq_t *self, uint32_t index, uint64_t now_ms)
{
    zmq_msg_t part;
    zmq_msg_init(&part);
    for (int count = 0; count < FRAMES_PER_TURN && take_frame(self, index, &part, now_ms);
         count++) {
        pass_on(self);
    }
    zmq_msg_close(&part);
}

/* On a thread of libzmq, when the bytes have been sent. */
static void free_sent(void *data, void *hint)
{
    (void)hint;
    free(data);
}

/* Makes a message of the bytes of the next frame; false: there is none. */
static bool next_message(link_zmq_t *self, uint32_t index, zmq_msg_t *message)
{
    wire_writer_t frame = {0};
    if (!link_next_frame(self->link, index, &frame)) {
        return false;
    }
    if (zmq_msg_init_data(message, frame.data, frame.size, free_sent, NULL) != 0) {
        abort();
    }
    return true;
}

static void send_frames(link_zmq_t *self, uint32_t index)
{
    connection_t *connection = &self->connections[index];
    void *dealer = connection->connector.socket;
    while (dealer && (connection->blocked || next_message(self, index, &connection->unsent))) {
        connection->blocked = zmq_msg_send(&connection->unsent, dealer, ZMQ_DONTWAIT) < 0;
        if (connection->blocked) {
            return;
        }
        CRASH_POINT(RESULTS_SENT);
    }
}

/* ---- the loop ---- */

/* An executor's output is about to be given to the link. */
static void pass_output_points(const work_output_t *outputs)
{
    for (const work_output_t *output = outputs; output; output = output->next) {
        if (output->kind == OUTPUT_RESULTS) {
            CRASH_POINT(RESULTS_QUEUED);
        } else if (output->kind == OUTPUT_STOPPED) {
            CRASH_POINT(WORKER_RELEASED);
        }
    }
}

static void take_output(link_zmq_t *self)
{
    uint64_t count;
    ssize_t size = read(self->wake, &count, sizeof count);
    (void)size;
    for (uint32_t i = 0; i < self->executor_count; i++) {
        work_output_t *outputs = executor_thread_take(self->executors[i]);
        pass_output_points(outputs);
        link_output(self->link, &outputs);
    }
}

static void look_for_slow(link_zmq_t *self, uint32_t executor, uint64_t now_ms)
{
    link_event_t event = {.kind = LINK_EVENT_SLOW};
    if (executor_thread_describe_slow(self->executors[executor], now_ms, event.text,
                                      sizeof event.text)) {
        self->on_event(self->event_context, &event);
    }
}

static void look_at_executors(link_zmq_t *self, uint64_t now_ms)
{
    if (now_ms < self->look_ms) {
        return;
    }
    self->look_ms = now_ms + self->looks_ms;
    for (uint32_t i = 0; i < self->executor_count; i++) {
        self->steps[i] = executor_thread_step_since(self->executors[i]);
        look_for_slow(self, i, now_ms);
    }
    link_look(self->link, self->steps, now_ms);
}

static long poll_timeout_ms(const link_zmq_t *self, uint64_t now_ms)
{
    uint64_t deadline_ms = link_next_deadline(self->link);
    deadline_ms = self->look_ms < deadline_ms ? self->look_ms : deadline_ms;
    for (uint32_t i = 0; i < LINK_ENDPOINTS_MAX; i++) {
        uint64_t connector_ms = connector_deadline(&self->connections[i].connector);
        deadline_ms = connector_ms < deadline_ms ? connector_ms : deadline_ms;
    }
    if (deadline_ms <= now_ms) {
        return 0;
    }
    return deadline_ms - now_ms < 60000 ? (long)(deadline_ms - now_ms) : 60000;
}

/* Waits until something happens. */
static void wait_for_events(link_zmq_t *self)
{
    int count = 1;
    self->items[0] = (zmq_pollitem_t){.fd = self->wake, .events = ZMQ_POLLIN};
    for (uint32_t i = 0; i < LINK_ENDPOINTS_MAX; i++) {
        connection_t *connection = &self->connections[i];
        connection->item = connection->connector.socket ? count : 0;
        if (!connection->item) {
            continue;
        }
        short events = (short)(ZMQ_POLLIN | (connection->blocked ? ZMQ_POLLOUT : 0));
        self->items[count++] =
            (zmq_pollitem_t){.socket = connection->connector.socket, .events = events};
        self->items[count++] =
            (zmq_pollitem_t){.fd = connection->connector.monitor_fd, .events = ZMQ_POLLIN};
    }
    poll_zmq(self->items, count, poll_timeout_ms(self, clock_monotonic_ms()));
}

/* The events come first: frames may be of a connection that they announce. */
static void receive(link_zmq_t *self, uint32_t index, uint64_t now_ms)
{
    const zmq_pollitem_t *items = &self->items[self->connections[index].item];
    bool has_frames = items[0].revents & ZMQ_POLLIN;
    if (has_frames || items[1].revents) {
        take_monitor(self, index, now_ms);
    }
    if (has_frames) {
        take_frames(self, index, now_ms);
    }
}

static void run_once(link_zmq_t *self)
{
    wait_for_events(self);
    uint64_t now_ms = clock_monotonic_ms();
    if (self->items[0].revents) {
        take_output(self);
    }
    for (uint32_t i = 0; i < LINK_ENDPOINTS_MAX; i++) {
        if (self->connections[i].item) {
            receive(self, i, now_ms);
        }
        tick_connector(self, i, now_ms);
    }
    if (atomic_load(&self->leaving) && !self->leave_begun) {
        self->leave_begun = true;
        link_leave(self->link, fabric_bytes_of("worker stops"), now_ms);
        CRASH_POINT(WORKER_LEAVING);
    }
    link_tick(self->link, now_ms);
    look_at_executors(self, now_ms);
    pass_on(self);
    for (uint32_t i = 0; i < LINK_ENDPOINTS_MAX; i++) {
        send_frames(self, i);
    }
    follow_sockets(self, now_ms);
}

static void *link_zmq_main(void *argument)
{
    link_zmq_t *self = (link_zmq_t *)argument;
    follow_sockets(self, clock_monotonic_ms());
    while (!link_left(self->link, clock_monotonic_ms())) {
        run_once(self);
    }
    CRASH_POINT(WORKER_LEFT);
    for (uint32_t i = 0; i < LINK_ENDPOINTS_MAX; i++) {
        connection_close(&self->connections[i]);
    }
    return NULL;
}

fabric_error_t link_zmq_start(link_zmq_t *link, executor_thread_t *const *executors)
{
    memcpy(link->executors, executors, link->executor_count * sizeof(executor_thread_t *));
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the program's own threads take the signals */
    link->started = pthread_create(&link->thread, NULL, link_zmq_main, link) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return link->started ? FABRIC_OK : FABRIC_ERROR_NO_RESOURCES;
}

void link_zmq_stop(link_zmq_t *link)
{
    if (link->started) {
        atomic_store(&link->leaving, true);
        link_zmq_notify(link);
        pthread_join(link->thread, NULL);
        link->started = false;
    }
}

void link_zmq_destroy(link_zmq_t **link)
{
    link_zmq_t *self = *link;
    if (!self) {
        return;
    }
    assert(!self->started);
    context_close(&self->host.zmq);
    close(self->wake);
    link_destroy(&self->link);
    free(self->executors);
    free(self->steps);
    free(self->first);
    free(self->last);
    free(self);
    *link = NULL;
}

uint64_t link_zmq_shards(const link_zmq_t *link)
{
    return link_shards(link->link);
}

uint64_t link_zmq_dropped(const link_zmq_t *link)
{
    return link_dropped(link->link);
}
