/* The other brokers of the cluster, as far as they are peers of this one. members.c owns the
 * struct. */
#ifndef BROKER_ROUTER_MEMBER_STATE_H
#define BROKER_ROUTER_MEMBER_STATE_H

#include "broker/broker_proof.h"
#include "broker/router/peer_state.h"

struct member {
    struct member *next;
    incarnation_t incarnation;
    broker_secret_t secret; /* of the member: what its hellos prove */
    peer_t *peer;           /* NULL: it is not connected */
    uint64_t connection;    /* number of its last hello; 0: none */
    bool draining;          /* as it has told it */
};

/* NULL: there is no such member. */
member_t *member_find(const router_t *router, incarnation_t incarnation);
void member_add(router_t *router, const broker_credential_t *broker);
/* Removes a member that is not connected. */
void member_remove(router_t *router, member_t *member);
void member_connect(member_t *member, peer_t *peer, uint64_t connection);
void member_disconnect(member_t *member);
void member_set_draining(member_t *member, bool draining);
void members_destroy(router_t *router);

#endif
