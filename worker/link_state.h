/* Inside the link: its struct, which link.c alone writes, and what link.c does for link_receive.c.
 *
 * The files of the link are layers; each calls those below it only:
 *
 *     link_receive.c                 what a frame from a broker asks for
 *     link.c                         the life of the link and its connections, time, output
 *     link_turn.c                    whose turn it is to have a delivery run alone
 *     link_brokers.c  link_shard.c   which brokers are connected; which shards are owned
 *     link_endpoint.c link_work.c    one connection; work for executors
 *     link_kept.c                    what a connection has sent and the broker has not settled
 *     link_event.c    link_cluster.c events for the log; the cluster and its map
 *     link_health.c                  which executors are stuck
 */
#ifndef WORKER_LINK_STATE_H
#define WORKER_LINK_STATE_H

#include "worker/link_brokers_state.h"
#include "worker/link_cluster_state.h"
#include "worker/link_health_state.h"
#include "worker/link_shard_state.h"
#include "worker/link_turn_state.h"

struct link {
    link_config_t config; /* its views point to `texts` */
    wire_writer_t texts;
    uint64_t started_ms;
    bool absence_reported;
    bool welcomed_once;
    runner_standing_t standing;
    bool tells_standing; /* the standing is not, or was not always, OPEN */
    bool leaving;
    uint64_t leave_until_ms;
    uint64_t connection; /* number of the latest hello of all endpoints */
    _Atomic uint64_t dropped;
    link_cluster_t cluster;
    link_brokers_t brokers;
    link_shards_t shards;
    link_works_t works;
    link_turn_t turn;
    link_events_t events;
    link_health_t health;
};

static inline link_endpoint_t *link_endpoint_at(link_t *link, uint32_t index)
{
    return &link->brokers.endpoints[index];
}

/* Greets a broker on a new connection. */
void link_greet(link_t *link, uint32_t index, uint64_t now_ms);
/* The broker of an endpoint, as a home that is gone. */
lost_home_t link_lost_home(const link_t *link, uint32_t index);
/* Gathers the results that may not be committed by homes that are gone. */
void link_gather(link_t *link);
/* The connection is no more: its shards are orphaned or lost, and what waits to be sent is dropped.
 */
void link_lose(link_t *link, uint32_t index, uint64_t now_ms);
/* The broker has welcomed this worker: its other connections to the same broker are closed, as the
 * broker listens to the newest only. */
void link_welcome(link_t *link, uint32_t index, const message_welcome_t *welcome, uint64_t now_ms);
/* The broker has refused this worker. */
void link_refuse(link_t *link, uint32_t index, fabric_error_t error, fabric_bytes_t text,
                 uint64_t now_ms);
/* An operator gives the worker a standing, by way of this broker: all brokers are told. */
void link_stand(link_t *link, uint32_t index, runner_standing_t standing);
/* Opens and closes endpoints by the map's brokers. */
void link_follow_map(link_t *link);
/* `error` and `text` may be FABRIC_OK and empty. */
void link_report(link_t *link, link_event_kind_t kind, uint32_t index, fabric_error_t error,
                 fabric_bytes_t text);
/* Counts a message that could not be read, and reports the first one of a connection. */
void link_malformed(link_t *link, uint32_t index, fabric_error_t error);
/* Counts a message that came too late. */
void link_count_dropped(link_t *link);

#endif
