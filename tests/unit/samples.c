/* Sample schemas: see samples.h. */
#include "tests/unit/samples.h"

static const fabric_field_t item_fields[] = {
    FABRIC_STRING(item_t, sku),
    FABRIC_U32(item_t, quantity),
};
const fabric_schema_t item_schema = FABRIC_SCHEMA("Item", item_t, item_fields);

static const fabric_field_t order_fields[] = {
    FABRIC_STRING(order_t, id),
    FABRIC_BOOL(order_t, express),
    FABRIC_LIST(order_t, items, items_count, item_schema),
    FABRIC_OPTIONAL_STRING(order_t, note, has_note),
};
const fabric_schema_t order_schema = FABRIC_SCHEMA("Order", order_t, order_fields);

static const fabric_field_t all_fields[] = {
    FABRIC_BOOL(all_t, flag),
    FABRIC_I32(all_t, small),
    FABRIC_I64(all_t, large),
    FABRIC_U32(all_t, count),
    FABRIC_U64(all_t, huge),
    FABRIC_F64(all_t, ratio),
    FABRIC_STRING(all_t, name),
    FABRIC_BYTES(all_t, blob),
    FABRIC_STRUCT(all_t, item, item_schema),
    FABRIC_LIST(all_t, items, items_count, item_schema),
    FABRIC_OPTIONAL(all_t, maybe, FABRIC_FIELD_I64, has_maybe),
    FABRIC_OPTIONAL_STRING(all_t, word, has_word),
};
const fabric_schema_t all_schema = FABRIC_SCHEMA("All", all_t, all_fields);

const fabric_schema_t *sample_schema(const char *name)
{
    static const fabric_schema_t *const schemas[] = {&fabric_schema_empty, &item_schema,
                                                     &order_schema, &all_schema};
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        if (strcmp(schemas[i]->name, name) == 0) {
            return schemas[i];
        }
    }
    return NULL;
}
