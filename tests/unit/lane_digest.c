/* What a slice of the lane model holds, as one number: see lane_model.h. */
#include "core/hash.h"
#include "tests/unit/lane_model.h"

static void add(uint64_t *digest, const void *data, size_t size)
{
    *digest = XXH3_64bits_withSeed(data, size, *digest);
}

uint64_t lane_model_digest(const store_slice_t *slice)
{
    uint64_t digest = slice->begun * 2 + slice->last;
    for (size_t i = 0; i < slice->put_count; i++) {
        const store_pending_t *put = &slice->puts[i];
        add(&digest, put, sizeof *put);
        add(&digest, put->type.data, put->type.size);
        add(&digest, put->entity.data, put->entity.size);
        add(&digest, put->tag.data, put->tag.size);
        add(&digest, put->body.data, put->body.size);
    }
    for (size_t i = 0; i < slice->scheduled_count; i++) {
        add(&digest, &slice->scheduled[i], sizeof slice->scheduled[i]);
        add(&digest, slice->scheduled[i].body.data, slice->scheduled[i].body.size);
    }
    add(&digest, slice->unscheduled, slice->unscheduled_count * sizeof *slice->unscheduled);
    add(&digest, slice->amendments, slice->amendment_count * sizeof *slice->amendments);
    add(&digest, slice->deletes, slice->delete_count * sizeof *slice->deletes);
    for (size_t i = 0; i < slice->dead_count; i++) {
        const store_dead_row_t *dead = &slice->dead[i];
        add(&digest, dead, sizeof *dead);
        add(&digest, dead->text.data, dead->text.size);
        add(&digest, dead->entity.data, dead->entity.size);
        add(&digest, dead->body.data, dead->body.size);
    }
    for (size_t i = 0; i < slice->key_count; i++) {
        add(&digest, &slice->keys[i], sizeof slice->keys[i]);
        add(&digest, slice->keys[i].reply.payload.data, slice->keys[i].reply.payload.size);
    }
    if (slice->clear) {
        add(&digest, slice->clear, sizeof *slice->clear);
        add(&digest, slice->clear->entity.data, slice->clear->entity.size);
    }
    for (size_t i = 0; i < slice->kept_count; i++) {
        add(&digest, &slice->kept[i], sizeof slice->kept[i]);
        add(&digest, slice->kept[i].type.data, slice->kept[i].type.size);
        add(&digest, slice->kept[i].entity.data, slice->kept[i].entity.size);
    }
    for (size_t i = 0; i < slice->outgoing_count; i++) {
        add(&digest, &slice->outgoing[i], sizeof slice->outgoing[i]);
        add(&digest, slice->outgoing[i].payload.data, slice->outgoing[i].payload.size);
    }
    add(&digest, slice->sent, slice->sent_count * sizeof *slice->sent);
    return digest;
}
