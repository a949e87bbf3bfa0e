/* Entities that tell others, at their home: see told_bench.h. */
#include "tests/unit/told_bench.h"

/* Entity "a" of a type that tells, and stores nothing itself. */
bench_t told_bench_with(const router_config_t *config)
{
    bench_t bench = {.next = 1};
    driver_told = DRIVER_TOLD_USUALLY;
    driver_told.options.tells = true;
    bench.driver = driver_new(config);
    driver_homes(bench.driver, NULL);
    driver_told = DRIVER_TOLD_USUALLY;
    driver_client(bench.driver, "c", 1);
    driver_worker(bench.driver, "w", 9);
    return bench;
}

bench_t told_bench(void)
{
    router_config_t config;
    driver_config(&config);
    return told_bench_with(&config);
}

store_outgoing_t told_note(const char *id)
{
    static const uint8_t item[] = {0x92, 0xa1, 'x', 0x01};
    return (store_outgoing_t){.flags = REQUEST_DURABLE | REQUEST_TELL,
                              .type = fabric_bytes_of("Counter"),
                              .entity = fabric_bytes_of(id),
                              .tag = fabric_bytes_of("Add"),
                              .payload = fabric_bytes(item, sizeof item)};
}

message_result_told_t told_result(const message_deliver_t *delivery)
{
    return (message_result_told_t){.shard = delivery->shard,
                                   .home_epoch = delivery->home_epoch,
                                   .owner_sequence = delivery->owner_sequence,
                                   .activation = delivery->activation,
                                   .request_id = delivery->request_id,
                                   .payload = fabric_bytes("\x92\xa1x\x01", 4),
                                   .events = fabric_bytes("\x90", 1)};
}

void told_send(bench_t *bench, const message_result_told_t *result)
{
    driver_send(bench->driver, "w", result_told, result);
    driver_check(bench->driver);
}

/* The worker answers a delivery, and its handler has told these entities. */
void told_tell(bench_t *bench, const message_deliver_t *delivery, const char *const *ids,
               uint32_t count)
{
    wire_writer_t list = {0};
    message_result_told_t result = told_result(delivery);
    for (uint32_t i = 0; i < count; i++) {
        const store_outgoing_t message = told_note(ids[i]);
        journal_outgoing_put(&list, &message);
    }
    result.count = count;
    result.told = wire_writer_bytes(&list);
    told_send(bench, &result);
    wire_writer_destroy(&list);
}

/* Of entity "a". */
uint32_t told_lane_of_a(const bench_t *bench, const message_deliver_t *delivery)
{
    return shard_id_number((shard_id_t){(uint32_t)delivery->shard}) % bench->driver->config.lanes;
}
