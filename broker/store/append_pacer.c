/* When the next append begins: see append_pacer.h. */
#include "broker/store/append_pacer.h"

void append_pacer_begin(append_pacer_t *pacer, size_t records, uint64_t now_us)
{
    pacer->records = records;
    pacer->began_us = now_us;
    pacer->since_us = 0;
}

void append_pacer_end(append_pacer_t *pacer, uint64_t now_us)
{
    uint64_t lasted_us = now_us - pacer->began_us;
    pacer->hold_us = lasted_us < APPEND_HOLD_US_MAX ? lasted_us : APPEND_HOLD_US_MAX;
    pacer->ended_us = now_us;
}

uint64_t append_pacer_hold(append_pacer_t *pacer, size_t waiting, uint64_t now_us)
{
    if (pacer->since_us == 0) {
        pacer->since_us = now_us;
    }
    uint64_t until_us = pacer->since_us + pacer->hold_us;
    /* The records that the last append's answers bring would be there by now. */
    if (pacer->since_us > pacer->ended_us + APPEND_HOLD_US_MAX) {
        return 0;
    }
    return waiting >= pacer->records || now_us >= until_us ? 0 : until_us - now_us;
}
