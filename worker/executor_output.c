/* What an executor has put out: see executor_output_state.h. */
#include "worker/executor_output_state.h"

#include "core/limits.h"

#define RESULTS_BYTES_FIRST 4096u

static void add(executor_output_t *output, work_output_t *piece, uint64_t now_ms)
{
    if (output->first) {
        output->last->next = piece;
    } else {
        output->first = piece;
        output->since_ms = now_ms;
    }
    output->last = piece;
}

void output_begin(executor_output_t *output, uint32_t round)
{
    output->round = round;
}

static work_output_t *new_piece(executor_output_t *output, work_source_t source, uint64_t now_ms)
{
    work_output_t *piece = work_output_new(OUTPUT_RESULTS, source);
    piece->round = output->round;
    wire_writer_reserve(&piece->results, RESULTS_BYTES_FIRST);
    add(output, piece, now_ms);
    return piece;
}

/* Results of one round for one broker's connection are collected in one piece. */
static work_output_t *piece_for(executor_output_t *output, work_source_t source, uint64_t now_ms)
{
    work_output_t *last = output->last;
    if (output->first && last->kind == OUTPUT_RESULTS && work_source_equal(last->source, source) &&
        last->round == output->round && last->results.size < LIMIT_FRAME_BYTES_GOAL / 2) {
        return last;
    }
    return new_piece(output, source, now_ms);
}

void output_put_result(executor_output_t *output, work_source_t source,
                       const message_result_t *result, bool durable, uint64_t now_ms)
{
    work_output_t *piece = piece_for(output, source, now_ms);
    message_put_result(&piece->results, result);
    piece->count++;
    piece->durable += durable;
}

void output_put_result_state(executor_output_t *output, work_source_t source,
                             const message_result_state_t *result, uint64_t now_ms)
{
    work_output_t *piece = piece_for(output, source, now_ms);
    message_put_result_state(&piece->results, result);
    piece->count++;
    piece->states++;
}

void output_put_result_events(executor_output_t *output, work_source_t source,
                              const message_result_events_t *result, uint64_t now_ms)
{
    size_t size = result->events.size + result->state.size + result->payload.size;
    work_output_t *piece = size < LIMIT_FRAME_BYTES_GOAL ? piece_for(output, source, now_ms)
                                                         : new_piece(output, source, now_ms);
    message_put_result_events(&piece->results, result);
    piece->count++;
    piece->states++;
}

void output_put_result_told(executor_output_t *output, work_source_t source,
                            const message_result_told_t *result, uint64_t now_ms)
{
    size_t size =
        result->told.size + result->events.size + result->state.size + result->payload.size;
    work_output_t *piece = size < LIMIT_FRAME_BYTES_GOAL ? piece_for(output, source, now_ms)
                                                         : new_piece(output, source, now_ms);
    message_put_result_told(&piece->results, result);
    piece->count++;
    piece->states++;
}

void output_put_alive(executor_output_t *output, work_source_t source, const message_alive_t *alive,
                      uint64_t now_ms)
{
    message_put_alive(&piece_for(output, source, now_ms)->results, alive);
}

void output_put_not_taken(executor_output_t *output, work_source_t source,
                          const message_deliver_t *delivery, fabric_error_t error, uint64_t now_ms)
{
    message_result_t result = work_result(delivery, STATUS_NOT_TAKEN, error);
    output_put_result(output, source, &result, false, now_ms);
}

void output_put_abandoned(executor_output_t *output, work_source_t source, uint64_t now_ms)
{
    piece_for(output, source, now_ms)->count++;
}

void output_put_state(executor_output_t *output, work_output_kind_t kind, work_source_t source,
                      shard_id_t shard, token_t token, uint64_t now_ms)
{
    work_output_t *piece = work_output_new(kind, source);
    piece->shard = shard;
    piece->token = token;
    add(output, piece, now_ms);
}

work_output_t *output_take(executor_output_t *output)
{
    work_output_t *first = output->first;
    output->first = output->last = NULL;
    return first;
}
