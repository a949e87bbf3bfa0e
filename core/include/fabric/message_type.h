/** @file
 * Message types: what a worker handles and a client sends, described once and shared by both,
 * usually in a header of the entity's own.
 *
 * A message type may declare failures, each with a name and values. Its handler answers with one
 * of them, and its caller gets the values:
 *
 * @code{.c}
 * typedef struct insufficient_funds {
 *     int64_t balance;
 *     int64_t requested;
 * } insufficient_funds_t;
 *
 * static const fabric_field_t insufficient_funds_fields[] = {
 *     FABRIC_I64(insufficient_funds_t, balance), FABRIC_I64(insufficient_funds_t, requested)};
 * static const fabric_schema_t insufficient_funds_schema =
 *     FABRIC_SCHEMA("InsufficientFunds", insufficient_funds_t, insufficient_funds_fields);
 *
 * enum { INSUFFICIENT_FUNDS = 1 };
 * static const fabric_choice_t withdraw_failure_items[] = {
 *     FABRIC_VARIANT(INSUFFICIENT_FUNDS, "InsufficientFunds", insufficient_funds_schema, NULL)};
 * static const fabric_choices_t withdraw_failures =
 *     FABRIC_CHOICES("WithdrawFailure", withdraw_failure_items);
 *
 * static const fabric_message_type_t account_withdraw = {
 *     .tag = "Withdraw",
 *     .request = &counter_increment_schema,
 *     .reply = &counter_value_schema,
 *     .durable = true,
 *     .failures = &withdraw_failures,
 * };
 *
 * // In the handler:
 * static fabric_result_t refuse(fabric_context_t *context, int64_t balance, int64_t requested)
 * {
 *     insufficient_funds_t failure = {.balance = balance, .requested = requested};
 *     return fabric_fail_with(context, INSUFFICIENT_FUNDS, &failure);
 * }
 *
 * // In a client:
 * static bool withdraw(fabric_client_t *client, int64_t amount, int64_t *missing)
 * {
 *     counter_increment_request_t request = {.amount = amount};
 *     union { // of the structs of all failures
 *         insufficient_funds_t insufficient_funds;
 *     } failure;
 *     fabric_call_t call = {.entity = fabric_entity("Account", "account-1"),
 *                           .message = &account_withdraw,
 *                           .request = &request,
 *                           .failure = &failure,
 *                           .failure_size = sizeof failure};
 *     fabric_outcome_t outcome;
 *     fabric_error_t error = fabric_client_call(client, &call, NULL, NULL, NULL, &outcome);
 *     if (outcome.failure && outcome.failure->number == INSUFFICIENT_FUNDS) {
 *         *missing = failure.insufficient_funds.requested - failure.insufficient_funds.balance;
 *     }
 *     return !error;
 * }
 * @endcode
 */
#ifndef FABRIC_MESSAGE_TYPE_H
#define FABRIC_MESSAGE_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fabric/schema.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A message type of an entity type. Constant data; all pointers must stay valid as long as the
 *  message type is in use. */
typedef struct fabric_message_type {
    /** Its name within the entity type, 1-255 bytes. */
    const char *tag;
    /** What the message carries; &fabric_schema_empty for nothing. */
    const fabric_schema_t *request;
    /** What the reply carries; &fabric_schema_empty for nothing. */
    const fabric_schema_t *reply;
    /** Whether the message is stored before its sender hears of it and, but for `early_delivery`,
     *  before it is delivered; and is delivered again until it has a final reply. */
    bool durable;
    /** Writes the message's primary key for `request` to `key` (at most `capacity` bytes) and
     *  returns its size. NULL, or a returned 0: the message has no primary key. */
    size_t (*primary_key)(const void *request, uint8_t *key, size_t capacity);
    /** The failures that the message declares: FABRIC_CHOICES of FABRIC_VARIANT, with numbers from
     *  0 to INT32_MAX. Each has a name and a schema of its values, &fabric_schema_empty for none.
     *  A handler answers with one by fabric_fail_with(). NULL: none.
     *
     *  Versions of a message type may add failures, and fields of their values as those of a reply;
     *  none may go, or get another number. */
    const fabric_choices_t *failures;
    /** A durable message may be delivered while it is still being stored, so that it and its result
     *  often become durable at once. Nothing leaves the cluster before: the accepted answer and the
     *  reply wait. If the message is not stored after all, its handler has run for a call that ends
     *  as unknown, or was rejected, and the entity's instance is forgotten. So it is for handlers
     *  without effects outside the fabric. Only for durable messages. */
    bool early_delivery;
    /** The handler gets a connection to the brokers' database, MySQL or MariaDB, with an open
     *  transaction (fabric_context_mysql): the rows that it writes, the reply and the end of the
     *  message commit together, or none of them does. Only for durable messages without early
     *  delivery, of types that neither persist their state nor append events. */
    bool transactional;
} fabric_message_type_t;

#ifdef __cplusplus
}
#endif
#endif
