/* Baseline: requests and replies over libzmq alone, without Fabric.
 *
 * The path is that of a volatile ask, in separate processes over TCP on loopback, and back: the
 * DEALER of a client, a forwarder with two ROUTERs, the DEALER of a worker, which echoes. One
 * request is one message with a payload, and nothing is encoded or checked.
 *
 *     baseline-forwarder WINDOW SECONDS [PAYLOAD_BYTES [CLIENTS]]
 *
 * WINDOW requests of each of CLIENTS processes are open at once. Half a second of the same comes
 * first and is not counted, except that the processor times are those of all requests.
 *
 * Threading: one thread in each process, besides libzmq's.
 */
#include <assert.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#include "bench/histogram.h"
#include "core/exit_codes.h"

enum {
    PAYLOAD_BYTES_DEFAULT = 100,
    PAYLOAD_BYTES_MIN = 8, /* the time at which the request was sent */
    PAYLOAD_BYTES_MAX = 65536,
    WINDOW_MAX = 1000000,
    SECONDS_MAX = 3600,
    CLIENTS_MAX = 256,
    ROUND = 256, /* messages of one socket before the forwarder looks at the other */
    REPLY_MS = 5000
};

#define WARMUP_NS 500000000u

static const char worker_id[] = "W";

typedef struct result {
    uint64_t counted; /* requests, after the warm-up */
    uint64_t elapsed_ns;
    uint64_t all; /* requests */
    histogram_t latency_ns;
} result_t;

/* What all processes share. */
typedef struct shared {
    char frontend[64];
    char backend[64];
    size_t window;
    size_t payload_bytes;
    uint64_t duration_ns;
    result_t results[CLIENTS_MAX];
} shared_t;

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static double cpu_us(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e6 +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

/* ---- sockets ---- */

static void require(bool fact, const char *what)
{
    if (!fact) {
        fprintf(stderr, "baseline-forwarder: %s: %s\n", what, zmq_strerror(zmq_errno()));
        _exit(EXIT_UNAVAILABLE);
    }
}

static void *open_socket(void *context, int type)
{
    int none = 0;
    int reply_ms = REPLY_MS;
    void *socket = zmq_socket(context, type);
    require(socket && zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none) == 0 &&
                zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none) == 0 &&
                zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none) == 0 &&
                zmq_setsockopt(socket, ZMQ_RCVTIMEO, &reply_ms, sizeof reply_ms) == 0,
            "socket");
    return socket;
}

static void *bind_router(void *context, char *endpoint, size_t size)
{
    void *router = open_socket(context, ZMQ_ROUTER);
    require(zmq_bind(router, "tcp://127.0.0.1:*") == 0 &&
                zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0,
            "bind");
    return router;
}

/* ---- the processes ---- */

/* Moves a request from [client][payload] to [worker][client][payload]. False: there is none. */
static bool forward_request(void *frontend, void *backend)
{
    zmq_msg_t client;
    zmq_msg_t payload;
    zmq_msg_init(&client);
    if (zmq_msg_recv(&client, frontend, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&client);
        return false;
    }
    zmq_msg_init(&payload);
    zmq_msg_recv(&payload, frontend, 0);
    zmq_send(backend, worker_id, sizeof worker_id - 1, ZMQ_SNDMORE);
    zmq_msg_send(&client, backend, ZMQ_SNDMORE);
    zmq_msg_send(&payload, backend, 0);
    return true;
}

/* Moves a reply from [worker][client][payload] to [client][payload]. */
static bool forward_reply(void *frontend, void *backend)
{
    zmq_msg_t part;
    zmq_msg_t payload;
    zmq_msg_init(&part);
    if (zmq_msg_recv(&part, backend, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&part);
        return false;
    }
    zmq_msg_recv(&part, backend, 0); /* releases the worker's id first */
    zmq_msg_init(&payload);
    zmq_msg_recv(&payload, backend, 0);
    zmq_msg_send(&part, frontend, ZMQ_SNDMORE);
    zmq_msg_send(&payload, frontend, 0);
    return true;
}

static void run_forwarder(shared_t *shared, int endpoints_known, int worker_connected)
{
    char first[2][16];
    void *context = zmq_ctx_new();
    void *frontend = bind_router(context, shared->frontend, sizeof shared->frontend);
    void *backend = bind_router(context, shared->backend, sizeof shared->backend);
    close(endpoints_known);
    require(zmq_recv(backend, first[0], sizeof first[0], 0) == sizeof worker_id - 1 &&
                zmq_recv(backend, first[1], sizeof first[1], 0) >= 0,
            "the worker's first message");
    close(worker_connected);
    zmq_pollitem_t items[] = {{frontend, 0, ZMQ_POLLIN, 0}, {backend, 0, ZMQ_POLLIN, 0}};
    while (zmq_poll(items, 2, -1) >= 0) {
        for (int i = 0; items[0].revents && i < ROUND && forward_request(frontend, backend); i++) {
        }
        for (int i = 0; items[1].revents && i < ROUND && forward_reply(frontend, backend); i++) {
        }
    }
}

static void run_worker(const shared_t *shared)
{
    int forever = -1;
    void *worker = open_socket(zmq_ctx_new(), ZMQ_DEALER);
    require(zmq_setsockopt(worker, ZMQ_ROUTING_ID, worker_id, sizeof worker_id - 1) == 0 &&
                zmq_setsockopt(worker, ZMQ_RCVTIMEO, &forever, sizeof forever) == 0 &&
                zmq_connect(worker, shared->backend) == 0 && zmq_send(worker, "", 0, 0) == 0,
            "connect");
    for (;;) {
        zmq_msg_t client;
        zmq_msg_t payload;
        zmq_msg_init(&client);
        zmq_msg_init(&payload);
        if (zmq_msg_recv(&client, worker, 0) < 0) {
            return;
        }
        zmq_msg_recv(&payload, worker, 0);
        zmq_msg_send(&client, worker, ZMQ_SNDMORE);
        zmq_msg_send(&payload, worker, 0);
    }
}

static void run_client(const shared_t *shared, result_t *result)
{
    static uint8_t buffer[PAYLOAD_BYTES_MAX];
    void *client = open_socket(zmq_ctx_new(), ZMQ_DEALER);
    require(zmq_connect(client, shared->frontend) == 0, "connect");
    memset(buffer, 'x', sizeof buffer);
    uint64_t first_ns = now_ns() + WARMUP_NS;
    uint64_t last_ns = first_ns + shared->duration_ns;
    uint64_t received_ns = 0;
    size_t open = 0;
    while (received_ns < last_ns) {
        for (; open < shared->window; open++) {
            uint64_t sent_ns = now_ns();
            memcpy(buffer, &sent_ns, sizeof sent_ns);
            zmq_send(client, buffer, shared->payload_bytes, 0);
        }
        uint64_t sent_ns = 0;
        require(zmq_recv(client, buffer, sizeof buffer, 0) == (int)shared->payload_bytes,
                "no reply");
        received_ns = now_ns();
        memcpy(&sent_ns, buffer, sizeof sent_ns);
        open--;
        result->all++;
        if (received_ns >= first_ns) {
            histogram_record(&result->latency_ns, received_ns - sent_ns);
            result->counted++;
        }
    }
    result->elapsed_ns = received_ns - first_ns;
}

/* ---- the whole ---- */

/* Like fork(); the kernel kills the child if the parent dies. */
static pid_t start_process(void)
{
    pid_t pid = fork();
    require(pid >= 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    return pid;
}

/* Waits until no process has the pipe open for writing. */
static void wait_for_close(int pipe_end)
{
    char nothing;
    while (read(pipe_end, &nothing, 1) > 0) {
    }
}

/* Starts forwarder and worker, and returns when they are connected. */
static void start_servers(shared_t *shared, pid_t servers[2])
{
    int known[2];
    int connected[2];
    require(pipe(known) == 0 && pipe(connected) == 0, "pipe");
    servers[0] = start_process();
    if (servers[0] == 0) {
        run_forwarder(shared, known[1], connected[1]);
        _exit(EXIT_INTERNAL);
    }
    close(known[1]);
    close(connected[1]);
    wait_for_close(known[0]);
    servers[1] = start_process();
    if (servers[1] == 0) {
        run_worker(shared);
        _exit(EXIT_INTERNAL);
    }
    wait_for_close(connected[0]);
    close(known[0]);
    close(connected[0]);
}

/* Runs all clients at once. Returns their processor time; false in `succeeded` where one failed. */
static double run_clients(shared_t *shared, size_t clients, bool *succeeded)
{
    pid_t pids[CLIENTS_MAX];
    double client_us = 0;
    for (size_t i = 0; i < clients; i++) {
        pids[i] = start_process();
        if (pids[i] == 0) {
            run_client(shared, &shared->results[i]);
            _exit(EXIT_SUCCESS);
        }
    }
    *succeeded = true;
    for (size_t i = 0; i < clients; i++) {
        int status = 0;
        struct rusage usage = {0};
        *succeeded = wait4(pids[i], &status, 0, &usage) == pids[i] && status == 0 && *succeeded;
        client_us += cpu_us(&usage);
    }
    return client_us;
}

static double stop_servers(const pid_t servers[2])
{
    double server_us = 0;
    for (size_t i = 0; i < 2; i++) {
        struct rusage usage = {0};
        kill(servers[i], SIGKILL);
        wait4(servers[i], NULL, 0, &usage);
        server_us += cpu_us(&usage);
    }
    return server_us;
}

static void print_report(const shared_t *shared, size_t clients, double client_us, double server_us)
{
    static histogram_t latency_ns; /* of all clients */
    double rate = 0;
    uint64_t all = 0;
    for (size_t i = 0; i < clients; i++) {
        const result_t *result = &shared->results[i];
        rate += (double)result->counted * 1e9 / (double)result->elapsed_ns;
        all += result->all;
        latency_ns.count += result->latency_ns.count;
        if (result->latency_ns.max > latency_ns.max) {
            latency_ns.max = result->latency_ns.max;
        }
        for (size_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
            latency_ns.buckets[bucket] += result->latency_ns.buckets[bucket];
        }
    }
    printf("forwarder window=%zu clients=%zu requests/s=%.0f p50us=%.1f p99us=%.1f "
           "client_us_each=%.2f servers_us_each=%.2f\n",
           shared->window, clients, rate, (double)histogram_percentile(&latency_ns, 0.5) / 1e3,
           (double)histogram_percentile(&latency_ns, 0.99) / 1e3, client_us / (double)all,
           server_us / (double)all);
}

static unsigned long number(int argc, char **argv, int index, unsigned long otherwise)
{
    return index < argc ? strtoul(argv[index], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    unsigned long window = number(argc, argv, 1, 0);
    unsigned long seconds = number(argc, argv, 2, 0);
    unsigned long payload_bytes = number(argc, argv, 3, PAYLOAD_BYTES_DEFAULT);
    unsigned long clients = number(argc, argv, 4, 1);
    if (argc > 5 || window < 1 || window > WINDOW_MAX || seconds < 1 || seconds > SECONDS_MAX ||
        payload_bytes < PAYLOAD_BYTES_MIN || payload_bytes > PAYLOAD_BYTES_MAX || clients < 1 ||
        clients > CLIENTS_MAX) {
        fputs("usage: baseline-forwarder WINDOW SECONDS [PAYLOAD_BYTES [CLIENTS]]\n", stderr);
        return EXIT_USAGE;
    }
    shared_t *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(shared != MAP_FAILED, "mmap");
    shared->window = window;
    shared->payload_bytes = payload_bytes;
    shared->duration_ns = seconds * 1000000000;
    pid_t servers[2];
    bool succeeded = false;
    start_servers(shared, servers);
    double client_us = run_clients(shared, clients, &succeeded);
    double server_us = stop_servers(servers);
    if (!succeeded) {
        return EXIT_UNAVAILABLE;
    }
    print_report(shared, clients, client_us, server_us);
    return EXIT_SUCCESS;
}
