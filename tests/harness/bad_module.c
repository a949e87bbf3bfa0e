/* A module that breaks one rule of <fabric/worker.h>, which $BAD_MODULE names, for errors of
 * fabric-worker. */
#include <fabric/worker.h>

#include <stdlib.h>
#include <string.h>

enum { MANY = 129, NAME_SIZE = 257, FIELDS = 65 };

typedef struct thing {
    uint64_t number;
} thing_t;

static fabric_result_t handle(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    (void)context;
    (void)state;
    (void)request;
    (void)reply;
    return FABRIC_REPLY;
}

static char long_name[NAME_SIZE];
static fabric_field_t fields[FIELDS];
static fabric_schema_t schema = {"Thing", sizeof(thing_t), fields, 1};
static fabric_message_type_t message = {"Do", &schema, &schema, true, NULL, NULL, false, false};
static fabric_handler_t handlers[MANY];
static fabric_entity_type_t type = {.name = "Bad", .handlers = handlers, .handler_count = 1};
static const fabric_entity_type_t *types[3] = {&type};

FABRIC_PUBLIC extern fabric_module_t fabric_module;
fabric_module_t fabric_module = {FABRIC_MODULE_ABI, types};

static void break_module(const char *rule)
{
    if (strcmp(rule, "abi") == 0) {
        fabric_module.abi = 1000;
    } else if (strcmp(rule, "null_types") == 0) {
        fabric_module.types = NULL;
    } else if (strcmp(rule, "no_types") == 0) {
        types[0] = NULL;
    } else if (strcmp(rule, "twins") == 0) {
        types[1] = &type;
    }
}

static void break_type(const char *rule)
{
    if (strcmp(rule, "no_name") == 0) {
        type.name = NULL;
    } else if (strcmp(rule, "empty_name") == 0) {
        type.name = "";
    } else if (strcmp(rule, "long_name") == 0) {
        type.name = long_name;
    } else if (strcmp(rule, "control_name") == 0) {
        type.name = "B\033[31mad\n";
        handlers[0].handle = NULL;
    } else if (strcmp(rule, "long_group") == 0) {
        type.group = long_name;
    } else if (strcmp(rule, "null_handlers") == 0) {
        type.handlers = NULL;
    } else if (strcmp(rule, "no_handlers") == 0) {
        type.handler_count = 0;
    } else if (strcmp(rule, "many_handlers") == 0) {
        type.handler_count = MANY;
    } else if (strcmp(rule, "two_handlers") == 0) {
        type.handler_count = 2;
    } else if (strcmp(rule, "huge_state") == 0) {
        type.state_size = SIZE_MAX / 2;
    }
}

static void break_message(const char *rule)
{
    if (strcmp(rule, "no_message") == 0) {
        handlers[0].message = NULL;
    } else if (strcmp(rule, "no_function") == 0) {
        handlers[0].handle = NULL;
    } else if (strcmp(rule, "no_tag") == 0) {
        message.tag = NULL;
    } else if (strcmp(rule, "long_tag") == 0) {
        message.tag = long_name;
    } else if (strcmp(rule, "no_request") == 0) {
        message.request = NULL;
    } else if (strcmp(rule, "no_reply") == 0) {
        message.reply = NULL;
    }
}

static void break_schema(const char *rule)
{
    if (strcmp(rule, "no_schema_name") == 0) {
        schema.name = NULL;
    } else if (strcmp(rule, "no_fields") == 0) {
        schema.fields = NULL;
    } else if (strcmp(rule, "many_fields") == 0) {
        schema.field_count = FIELDS;
    } else if (strcmp(rule, "no_field_name") == 0) {
        fields[0].name = NULL;
    } else if (strcmp(rule, "twin_fields") == 0) {
        schema.field_count = 2;
    } else if (strcmp(rule, "bad_kind") == 0) {
        fields[0].kind = (fabric_field_kind_t)77;
    } else if (strcmp(rule, "no_inner_schema") == 0) {
        fields[0].kind = FABRIC_FIELD_STRUCT;
    } else if (strcmp(rule, "endless_schema") == 0) {
        fields[0].kind = FABRIC_FIELD_STRUCT;
        fields[0].schema = &schema;
    } else if (strcmp(rule, "huge_struct") == 0) {
        schema.size = SIZE_MAX / 2;
    } else if (strcmp(rule, "huge_string") == 0) {
        fields[0].kind = FABRIC_FIELD_STRING;
        fields[0].max = UINT32_MAX - 1;
    } else if (strcmp(rule, "not_utf8") == 0) {
        fields[0].name = "\xff";
    }
}

__attribute__((constructor)) static void break_rule(void)
{
    const char *rule = getenv("BAD_MODULE");
    memset(long_name, 'x', sizeof long_name - 1);
    for (size_t i = 0; i < FIELDS; i++) {
        fields[i] = (fabric_field_t)FABRIC_U64(thing_t, number);
    }
    for (size_t i = 0; i < MANY; i++) {
        handlers[i] = (fabric_handler_t){&message, handle};
    }
    if (rule) {
        break_module(rule);
        break_type(rule);
        break_message(rule);
        break_schema(rule);
    }
}
