/* The broker's configuration: a table of its keys, and the values as the broker uses them.
 *
 * Threading: read at start by one thread; constant afterwards.
 */
#ifndef BROKER_BROKER_CONFIG_H
#define BROKER_BROKER_CONFIG_H

#include "broker/router/router.h"
#include "core/config.h"
#include "core/log.h"

/* The rows of core/config.h; ends with a row without a name. */
extern const config_key_t broker_config_keys[];

typedef struct broker_config {
    char listen[256], publish[256];                 /* to bind */
    char advertise_router[256], advertise_pub[256]; /* empty: as bound */
    const char *store_url, *store_password;         /* views into the config_t */
    const char *cluster_name;                       /* empty: any */
    uint32_t shards_per_group, lanes;               /* 0: the cluster's own */
    uint32_t appenders;
    uint64_t call_retention_ms, journal_bytes_max;
    uint32_t connect_timeout_ms, io_timeout_ms, drain_ms;
    bool migrate, allow_plaintext, allow_weak_durability;
    log_level_t log_level;
    router_config_t router; /* limits and times; the rest is filled in when the broker opens */
} broker_config_t;

/* Reads the loaded values and checks endpoints. INVALID_CONFIGURATION, PLAINTEXT_REFUSED. */
FABRIC_MUST_USE
fabric_error_t broker_config_read(const config_t *values, broker_config_t *config,
                                  reason_t *reason);

#endif
