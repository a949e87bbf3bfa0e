/* The messages of the entity types Liaison and Contact, shared by their modules and the integration
 * tests. A liaison asks contacts, or other liaisons; each has its module, so that tests run them on
 * different workers. Each start of a handler, and what a finalizer is told, is a line in the file
 * `liaisons` in the folder $PROBE_FOLDER: "meet contact-1 1", with the delivery. */
#ifndef TESTS_HARNESS_LIAISON_H
#define TESTS_HARNESS_LIAISON_H

#include <fabric/message_type.h>

#define LIAISON_TYPE   "Liaison"
#define LIAISON_MODULE "../tests/liaison_module.so"
#define CONTACT_TYPE   "Contact"
#define CONTACT_MODULE "../tests/contact_module.so"

typedef struct liaison_request {
    char whom[32];       /* the contact that is asked; "=a>b": the liaison a, which is to ask b */
    char gate[32];       /* the contact waits until this gate exists; empty: it does not */
    uint32_t timeout_ms; /* of the ask; 0: the default */
    uint32_t end;        /* enum liaison_end: what the finalizer does; see liaison_pass */
} liaison_request_t;

enum liaison_end { END_QUIETLY, END_BY_TELL, END_BY_ASK };

typedef struct liaison_reply {
    int32_t error;     /* of the ask; 0: it was answered */
    uint32_t meetings; /* how often the contact has been met */
    uint32_t delivery; /* of the liaison's own message */
} liaison_reply_t;

static const fabric_field_t liaison_request_fields[] = {
    FABRIC_STRING(liaison_request_t, whom), FABRIC_STRING(liaison_request_t, gate),
    FABRIC_U32(liaison_request_t, timeout_ms), FABRIC_U32(liaison_request_t, end)};
static const fabric_schema_t liaison_request_schema =
    FABRIC_SCHEMA("LiaisonRequest", liaison_request_t, liaison_request_fields);
static const fabric_field_t liaison_reply_fields[] = {FABRIC_I32(liaison_reply_t, error),
                                                      FABRIC_U32(liaison_reply_t, meetings),
                                                      FABRIC_U32(liaison_reply_t, delivery)};
static const fabric_schema_t liaison_reply_schema =
    FABRIC_SCHEMA("LiaisonReply", liaison_reply_t, liaison_reply_fields);

#define LIAISON_MESSAGE(tag_, durable_)                                                            \
    {                                                                                              \
        .tag = (tag_), .request = &liaison_request_schema, .reply = &liaison_reply_schema,         \
        .durable = (durable_)                                                                      \
    }

/* Of both types: a liaison asks by the same message, and a contact answers. */
static const fabric_message_type_t liaison_meet = LIAISON_MESSAGE("Meet", true);
static const fabric_message_type_t liaison_glance = LIAISON_MESSAGE("Glance", false);
/* Of a liaison: notes what its finalizer does, and to whom, and replies. */
static const fabric_message_type_t liaison_prepare = LIAISON_MESSAGE("Prepare", false);
/* Of a liaison, likewise, with a durable message of the finalizer. */
static const fabric_message_type_t liaison_prepare_durable =
    LIAISON_MESSAGE("PrepareDurable", false);
/* Of a liaison: tells the contact `end` messages Meet with its reply. */
static const fabric_message_type_t liaison_pass = LIAISON_MESSAGE("Pass", true);

#endif
