/* The configuration keys of fabric-worker. */
#ifndef WORKER_WORKER_CONFIG_H
#define WORKER_WORKER_CONFIG_H

#include "core/config.h"

/* Ends with a row without a name. */
extern const config_key_t worker_config_keys[];

#endif
