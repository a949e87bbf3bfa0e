/* Routes: the frames of clients on their way to other brokers. */
#include <stdlib.h>
#include <utlist.h>

#include "broker/mesh/mesh_state.h"
#include "core/memory.h"

enum {
    ROUTE_BYTES_MAX = 16 << 20,
    LINK_BYTES_MAX = 64 << 20, /* beyond it, no route may have more than its share */
    WRAPPING_BYTES = 32        /* the most that TUNNEL adds to its frame */
};

/* ---- lists ---- */

static route_t *route_add(mesh_t *mesh, uint32_t link, uint64_t origin)
{
    mesh_routes_t *routes = &mesh->routes;
    route_t *route = memory_allocate_zeroed(1, sizeof *route);
    route->number = ++routes->last_number;
    route->client = (route_client_t){origin, link};
    HASH_ADD(by_number, routes->by_number, number, sizeof route->number, route);
    HASH_ADD(by_client, routes->by_client, client, sizeof route->client, route);
    mesh->links[link].routes++;
    return route;
}

static route_t *find_by_client(const mesh_t *mesh, uint32_t link, uint64_t origin)
{
    route_t *route = NULL;
    route_client_t client = {origin, link};
    HASH_FIND(by_client, mesh->routes.by_client, &client, sizeof client, route);
    return route;
}

static route_t *find_by_number(const mesh_t *mesh, uint32_t link, uint64_t number)
{
    route_t *route = NULL;
    HASH_FIND(by_number, mesh->routes.by_number, &number, sizeof number, route);
    return route && route->client.link == link && !route->over ? route : NULL;
}

static mesh_link_t *link_of(mesh_t *mesh, const route_t *route)
{
    return &mesh->links[route->client.link];
}

static void make_ready(mesh_t *mesh, route_t *route)
{
    if (!route->ready) {
        route->ready = true;
        DL_APPEND(link_of(mesh, route)->ready, route);
    }
}

static void leave_ready(mesh_t *mesh, route_t *route)
{
    if (route->ready) {
        route->ready = false;
        DL_DELETE(link_of(mesh, route)->ready, route);
    }
}

/* The route is found no more. */
static void finish(mesh_t *mesh, route_t *route)
{
    if (!route->over) {
        route->over = true;
        HASH_DELETE(by_client, mesh->routes.by_client, route);
        link_of(mesh, route)->routes--;
    }
}

static void drop_waiting(mesh_t *mesh, route_t *route)
{
    link_of(mesh, route)->bytes -= route->queue.bytes;
    mesh_queue_clear(&route->queue);
}

static void destroy(mesh_t *mesh, route_t *route)
{
    finish(mesh, route);
    leave_ready(mesh, route);
    drop_waiting(mesh, route);
    HASH_DELETE(by_number, mesh->routes.by_number, route);
    free(route);
}

/* ---- the ends of routes ---- */

static void tell_client(mesh_t *mesh, const route_t *route, fabric_error_t error, const char *text)
{
    mesh_add_event(mesh, MESH_RELAY_ENDED, &mesh->links[route->client.link].broker, error,
                   fabric_bytes_of(text))
        ->origin = route->client.origin;
}

/* Tells the other broker, after what still waits. */
static void end_here(mesh_t *mesh, route_t *route)
{
    message_tunnel_ended_t ended = {route->number};
    message_put_tunnel_ended(mesh_queue_writer(&route->queue, WRAPPING_BYTES), &ended);
    link_of(mesh, route)->bytes += mesh_queue_put(&route->queue);
    finish(mesh, route);
    make_ready(mesh, route);
}

static bool overflows(mesh_t *mesh, const route_t *route)
{
    const mesh_link_t *link = link_of(mesh, route);
    return route->queue.bytes > ROUTE_BYTES_MAX ||
           (link->bytes > LINK_BYTES_MAX && route->queue.bytes > LINK_BYTES_MAX / link->routes);
}

void mesh_route_ended(mesh_t *mesh, uint32_t link, uint64_t number)
{
    route_t *route = find_by_number(mesh, link, number);
    if (route) {
        tell_client(mesh, route, FABRIC_ERROR_NOT_CONNECTED,
                    "the other broker has ended the connection");
        destroy(mesh, route);
    }
}

void mesh_route_forget(mesh_t *mesh, uint32_t link, uint64_t origin)
{
    route_t *route = find_by_client(mesh, link, origin);
    if (!route) {
        return;
    }
    if (mesh->links[link].bytes > LINK_BYTES_MAX) {
        drop_waiting(mesh, route); /* no client is there that could be told to send less */
    }
    end_here(mesh, route);
}

void mesh_routes_lose(mesh_t *mesh, uint32_t link)
{
    route_t *route, *next;
    HASH_ITER(by_number, mesh->routes.by_number, route, next)
    {
        if (route->client.link != link) {
            continue;
        }
        if (!route->over) {
            tell_client(mesh, route, FABRIC_ERROR_NOT_CONNECTED,
                        "the connection to the other broker broke");
        }
        destroy(mesh, route);
    }
}

void mesh_routes_destroy(mesh_t *mesh)
{
    route_t *route, *next;
    HASH_ITER(by_number, mesh->routes.by_number, route, next)
    {
        destroy(mesh, route);
    }
}

/* ---- frames ---- */

void mesh_route_put(mesh_t *mesh, uint32_t link, uint64_t origin, fabric_bytes_t frame)
{
    route_t *route = find_by_client(mesh, link, origin);
    if (!route) {
        route = route_add(mesh, link, origin);
    }
    message_tunnel_t tunnel = {route->number, frame};
    message_put_tunnel(mesh_queue_writer(&route->queue, frame.size + WRAPPING_BYTES), &tunnel);
    mesh->links[link].bytes += mesh_queue_put(&route->queue);
    make_ready(mesh, route);
    if (overflows(mesh, route)) {
        tell_client(mesh, route, FABRIC_ERROR_BUSY,
                    "the other broker does not read as fast as this client sends");
        drop_waiting(mesh, route);
        end_here(mesh, route);
    }
}

const route_t *mesh_route_find(const mesh_t *mesh, uint32_t link, uint64_t number)
{
    return find_by_number(mesh, link, number);
}

void mesh_routes_move(mesh_t *mesh, uint32_t index, wire_writer_t *frame)
{
    mesh_link_t *link = &mesh->links[index];
    size_t moved;
    while (link->ready && (moved = mesh_queue_move(&link->ready->queue, frame)) > 0) {
        route_t *route = link->ready;
        link->bytes -= moved;
        leave_ready(mesh, route);
        if (!mesh_queue_is_empty(&route->queue)) {
            make_ready(mesh, route); /* it is the turn of the next route */
        } else if (route->over) {
            destroy(mesh, route);
        }
    }
}
