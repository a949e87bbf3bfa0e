/* Reading the messages of the entity type Fold: see fold.h. */
#include "tests/checker/fold.h"

bool fold_message_read(fabric_bytes_t payload, fold_request_t *asked)
{
    static fold_message_t message; /* large; only the test's thread reads */
    if (fabric_schema_decode(&fold_message_schema, payload, NULL, &message) != FABRIC_OK ||
        !padding_is_whole(&message.padding, message.asked.number)) {
        return false;
    }
    *asked = message.asked;
    return true;
}

bool fold_answer_read(fabric_bytes_t payload, fold_reply_t *reply)
{
    static fold_answer_t answer; /* likewise */
    if (fabric_schema_decode(&fold_answer_schema, payload, NULL, &answer) != FABRIC_OK ||
        !padding_is_whole(&answer.padding, answer.fold.number)) {
        return false;
    }
    *reply = answer.fold;
    return true;
}
