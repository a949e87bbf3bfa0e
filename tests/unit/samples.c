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

static const fabric_choice_t shipment_status_items[] = {
    FABRIC_CHOICE(SHIPMENT_OPEN, "OPEN", NULL),
    FABRIC_CHOICE(SHIPMENT_SENT, "SENT", "It has left the house."),
    FABRIC_CHOICE(SHIPMENT_LOST, "LOST", NULL),
    FABRIC_CHOICE(SHIPMENT_ARRIVED, "ARRIVED", NULL),
};
const fabric_choices_t shipment_statuses = FABRIC_CHOICES("Status", shipment_status_items);

static const fabric_field_t shipment_fields[] = {
    FABRIC_ENUM(shipment_t, status, shipment_statuses, FABRIC_DOC("Where it is.")),
    FABRIC_TIMESTAMP(shipment_t, sent_at, FABRIC_JSON("sentAt")),
    FABRIC_U32(shipment_t, parcels, FABRIC_DEFAULT(1), FABRIC_JSON("parcelCount"),
               FABRIC_DOC("How many parcels there are.")),
    FABRIC_BOOL(shipment_t, insured, FABRIC_DEFAULT(true)),
    FABRIC_I32(shipment_t, floor, FABRIC_DEFAULT(-2)),
    FABRIC_I64(shipment_t, offset, FABRIC_DEFAULT(INT64_MIN)),
    FABRIC_U64(shipment_t, serial, FABRIC_DEFAULT(UINT64_MAX)),
    FABRIC_F64(shipment_t, weight, FABRIC_DEFAULT_F64(0.5)),
    FABRIC_STRING(shipment_t, currency, FABRIC_DEFAULT_STRING("EUR")),
    FABRIC_ENUM(shipment_t, before, shipment_statuses, FABRIC_DEFAULT(SHIPMENT_LOST)),
    FABRIC_TIMESTAMP(shipment_t, due, FABRIC_DEFAULT(1735689600000)),
    FABRIC_BOOL(shipment_t, flag, FABRIC_PRESENT(shipment_t, has_flag)),
    FABRIC_I32(shipment_t, small, FABRIC_PRESENT(shipment_t, has_small)),
    FABRIC_I64(shipment_t, large, FABRIC_PRESENT(shipment_t, has_large)),
    FABRIC_U32(shipment_t, count, FABRIC_PRESENT(shipment_t, has_count)),
    FABRIC_U64(shipment_t, huge, FABRIC_PRESENT(shipment_t, has_huge)),
    FABRIC_F64(shipment_t, ratio, FABRIC_PRESENT(shipment_t, has_ratio)),
    FABRIC_STRING(shipment_t, name, FABRIC_PRESENT(shipment_t, has_name)),
    FABRIC_BYTES(shipment_t, blob, FABRIC_PRESENT(shipment_t, has_blob)),
    FABRIC_STRUCT(shipment_t, item, item_schema, FABRIC_PRESENT(shipment_t, has_item)),
    FABRIC_LIST(shipment_t, items, items_count, item_schema, FABRIC_PRESENT(shipment_t, has_items)),
    FABRIC_ENUM(shipment_t, maybe, shipment_statuses, FABRIC_PRESENT(shipment_t, has_status)),
    FABRIC_TIMESTAMP(shipment_t, seen, FABRIC_PRESENT(shipment_t, has_seen),
                     FABRIC_DOC("When it was last seen.")),
};
const fabric_schema_t shipment_schema = FABRIC_SCHEMA("Shipment", shipment_t, shipment_fields);

static const fabric_field_t chapter_fields[] = {
    FABRIC_STRING_VIEW(chapter_t, title),
    FABRIC_LIST_VIEW_OF(chapter_t, pages, pages_count, FABRIC_FIELD_U32),
};
static const fabric_schema_t chapter_schema = FABRIC_SCHEMA("Chapter", chapter_t, chapter_fields);

static const fabric_field_t document_fields[] = {
    FABRIC_STRING_VIEW(document_t, title),
    FABRIC_BYTES_VIEW(document_t, body),
    FABRIC_LIST_VIEW(document_t, items, items_count, item_schema),
    FABRIC_LIST_VIEW(document_t, chapters, chapters_count, chapter_schema),
    FABRIC_LIST_OF(document_t, numbers, numbers_count, FABRIC_FIELD_I64),
    FABRIC_STRING_LIST(document_t, tags, tags_count, FABRIC_DOC("Words to find it by.")),
    FABRIC_LIST_VIEW_OF(document_t, words, words_count, FABRIC_FIELD_STRING),
    FABRIC_LIST_VIEW_OF(document_t, samples, samples_count, FABRIC_FIELD_F64),
    FABRIC_ENUM_LIST(document_t, states, states_count, shipment_statuses),
    FABRIC_LIST_OF(document_t, flags, flags_count, FABRIC_FIELD_BOOL),
    FABRIC_LIST_VIEW_OF(document_t, times, times_count, FABRIC_FIELD_TIMESTAMP),
    FABRIC_LIST_OF(document_t, blobs, blobs_count, FABRIC_FIELD_BYTES),
    FABRIC_STRING_VIEW(document_t, note, FABRIC_DEFAULT_STRING("none")),
    FABRIC_ENUM_LIST_VIEW(document_t, history, history_count, shipment_statuses,
                          FABRIC_PRESENT(document_t, has_history)),
    FABRIC_STRING_VIEW(document_t, summary, FABRIC_PRESENT(document_t, has_summary)),
};
const fabric_schema_t document_schema = FABRIC_SCHEMA("Document", document_t, document_fields);

static const fabric_field_t label_fields[] = {
    FABRIC_STRING(label_t, key),
    FABRIC_STRING(label_t, value),
};
static const fabric_schema_t label_schema = FABRIC_SCHEMA("Label", label_t, label_fields);

static const fabric_field_t stock_fields[] = {
    FABRIC_STRING_VIEW(stock_t, key),
    FABRIC_STRUCT(stock_t, item, item_schema),
};
static const fabric_schema_t stock_schema = FABRIC_SCHEMA("Stock", stock_t, stock_fields);

static const fabric_field_t scores_fields[] = {
    FABRIC_STRING(scores_t, key),
    FABRIC_LIST_VIEW_OF(scores_t, values, values_count, FABRIC_FIELD_U32),
};
static const fabric_schema_t scores_schema = FABRIC_SCHEMA("Scores", scores_t, scores_fields);

static const fabric_field_t card_fields[] = {
    FABRIC_STRING(card_t, number),
    FABRIC_U32(card_t, year),
};
static const fabric_schema_t card_schema = FABRIC_SCHEMA("Card", card_t, card_fields);

static const fabric_field_t transfer_fields[] = {FABRIC_STRING_VIEW(transfer_t, account)};
static const fabric_schema_t transfer_schema =
    FABRIC_SCHEMA("Transfer", transfer_t, transfer_fields);

static const fabric_choice_t payment_items[] = {
    FABRIC_VARIANT(PAYMENT_CASH, "cash", fabric_schema_empty, NULL),
    FABRIC_VARIANT(PAYMENT_CARD, "card", card_schema, "A card."),
    FABRIC_VARIANT(PAYMENT_TRANSFER, "transfer", transfer_schema, NULL),
};
static const fabric_choices_t payment_kinds = FABRIC_CHOICES("Kind", payment_items);

static const fabric_field_t payment_fields[] = {
    FABRIC_UNION(payment_t, as, kind, payment_kinds, FABRIC_JSON("by")),
};
static const fabric_schema_t payment_schema = FABRIC_SCHEMA("Payment", payment_t, payment_fields);

static const fabric_field_t profile_fields[] = {
    FABRIC_MAP(profile_t, labels, labels_count, label_schema),
    FABRIC_MAP_VIEW(profile_t, stock, stock_count, stock_schema, FABRIC_DOC("By its name.")),
    FABRIC_MAP(profile_t, scores, scores_count, scores_schema),
    FABRIC_STRUCT(profile_t, first, payment_schema),
    FABRIC_LIST(profile_t, payments, payments_count, payment_schema),
    FABRIC_UNION(profile_t, last, last_kind, payment_kinds, FABRIC_PRESENT(profile_t, has_last)),
    FABRIC_MAP(profile_t, notes, notes_count, label_schema, FABRIC_PRESENT(profile_t, has_notes)),
};
const fabric_schema_t profile_schema = FABRIC_SCHEMA("Profile", profile_t, profile_fields);

const fabric_schema_t *sample_schema(const char *name)
{
    static const fabric_schema_t *const schemas[] = {
        &fabric_schema_empty, &item_schema,     &order_schema,  &all_schema,
        &shipment_schema,     &document_schema, &profile_schema};
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        if (strcmp(schemas[i]->name, name) == 0) {
            return schemas[i];
        }
    }
    return NULL;
}
