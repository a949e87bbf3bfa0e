/* When the next append begins: see append_pacer.h. */
#include "broker/store/append_pacer.h"

/* LATE_MAX: one append in 64 finds out whether results come in time again. */
enum { LATE_MAX = 6 };

void append_pacer_begin(append_pacer_t *pacer, size_t records, uint64_t now_us)
{
    pacer->records = records;
    pacer->began_us = now_us;
    pacer->since_us = 0;
    if (pacer->await_us > 0 && !pacer->await_over) {
        pacer->late = 0;
    }
    pacer->await_us = 0;
    pacer->await_over = false;
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

static void give_up(append_pacer_t *pacer)
{
    pacer->await_over = true;
    pacer->late += pacer->late < LATE_MAX;
    pacer->skip = (1u << pacer->late) - 1;
}

uint64_t append_pacer_await(append_pacer_t *pacer, size_t results, uint64_t now_us)
{
    if (pacer->await_us == 0 && !pacer->await_over) {
        pacer->await_us = now_us;
        if (pacer->skip > 0) {
            pacer->skip--;
            pacer->await_over = true;
        }
    }
    uint64_t until_us = pacer->await_us + (results > 0 ? pacer->hold_us : APPEND_HOLD_US_MAX);
    if (!pacer->await_over && now_us >= until_us && results > 0) {
        pacer->await_over = true;
    } else if (!pacer->await_over && now_us >= until_us) {
        give_up(pacer);
    }
    return pacer->await_over ? 0 : until_us - now_us;
}
