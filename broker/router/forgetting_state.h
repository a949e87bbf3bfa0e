/* That an entity type is being forgotten. forgetting.c owns the struct. */
#ifndef BROKER_ROUTER_FORGETTING_STATE_H
#define BROKER_ROUTER_FORGETTING_STATE_H

#include <fabric/error.h>

#include "core/limits.h"

#define FORGETTING_TEXT "the entity type is about to be forgotten"

typedef enum forgetting_step {
    FORGETTING_NONE,   /* no type is being forgotten */
    FORGETTING_CLOSED, /* the type is closed */
    FORGETTING_ASKED,  /* this broker's coordinator was asked to forget it */
    FORGETTING_DONE,   /* and has answered */
    FORGETTING_OPENING /* the types are being read: then the type is opened, or forgotten */
} forgetting_step_t;

typedef struct router_forgetting {
    forgetting_step_t step;
    char name[LIMIT_NAME_BYTES_MAX + 1]; /* of the type */
    uint64_t token;                      /* of the operator's command */
    uint64_t since_ms;                   /* when the type was closed */
    fabric_error_t error;                /* DONE: the outcome */
    char text[LIMIT_TEXT_BYTES_MAX];
} router_forgetting_t;

#endif
