/* The other brokers of the cluster. */
#include <utlist.h>

#include "broker/router/router_state.h"
#include "core/memory.h"

member_t *member_find(const router_t *router, incarnation_t incarnation)
{
    member_t *member;
    LL_FOREACH(router->members, member)
    {
        if (incarnation_equal(member->incarnation, incarnation)) {
            return member;
        }
    }
    return NULL;
}

void member_add(router_t *router, const broker_credential_t *broker)
{
    member_t *member = memory_allocate_zeroed(1, sizeof *member);
    member->incarnation = broker->broker;
    member->secret = broker->secret;
    LL_PREPEND(router->members, member);
}

void member_remove(router_t *router, member_t *member)
{
    LL_DELETE(router->members, member);
    free(member);
}

void member_connect(member_t *member, peer_t *peer, uint64_t connection)
{
    member->peer = peer;
    member->connection = connection;
    peer_set_member(peer, member);
}

void member_disconnect(member_t *member)
{
    peer_set_member(member->peer, NULL);
    member->peer = NULL;
}

void member_set_draining(member_t *member, bool draining)
{
    member->draining = draining;
}

void members_destroy(router_t *router)
{
    member_t *member, *next;
    LL_FOREACH_SAFE(router->members, member, next)
    {
        member_remove(router, member);
    }
}
