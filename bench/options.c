/* Options of fabric-bench: one table of keys. */
#include "bench/options.h"

#include <string.h>

#include "tests/harness/cluster.h"
#include "tests/harness/database.h"
#include "bench/states.h"
#include "core/limits.h"

/* One call more, because a call still counts while its completion starts the next one. */
#define INFLIGHT_MAX (LIMIT_PENDING_CALLS_MAX - 1)

#define TAKEOVER_HELD 1000000

const char *const options_mode_names[MODE_COUNT] = {
    [MODE_ASK] = "ask",
    [MODE_TELL] = "tell",
    [MODE_RESTART] = "restart",
    [MODE_TAKEOVER] = "takeover",
};

const config_key_t options_keys[] = {
    {"durable", CONFIG_BOOL, "no", 0, 0, NULL, "durable messages (unless --volatile)"},
    {"volatile", CONFIG_BOOL, "no", 0, 0, NULL, "volatile messages"},
    {"entities", CONFIG_UINT, "1000", 1, 10000000, "N", "entities that the messages go to"},
    {"inflight", CONFIG_UINT, "256", 1, INFLIGHT_MAX, "N", "calls open at once"},
    {"size", CONFIG_UINT, "100", 0, BENCH_SIZE_BYTES_MAX, "BYTES",
     "payload of each message, and of each reply"},
    {"payload", CONFIG_TEXT, "random", 0, 0, "random|text",
     "bytes that do not compress, or JSON; other ones in each message"},
    {"duration", CONFIG_UINT, "10", 1, 86400, "S", "seconds during which calls are started"},
    {"warmup", CONFIG_UINT, "2", 0, 3600, "S", "seconds of the same before, not counted"},
    {"calls", CONFIG_UINT, "0", 0, UINT32_MAX, "N",
     "calls after which a measurement ends; 0: by --duration"},
    {"early", CONFIG_BOOL, "no", 0, 0, NULL, "ask: durable messages with early delivery"},
    {"keyed", CONFIG_BOOL, "no", 0, 0, NULL,
     "each durable message has a primary key that no other one has"},
    {"state", CONFIG_UINT, NULL, BENCH_STATE_BYTES_MIN, BENCH_SIZE_BYTES_MAX, "BYTES",
     "the entities have persisted states of so many bytes, which each durable message changes"},
    {"without_worker", CONFIG_BOOL, "no", 0, 0, NULL,
     "tell: the messages are accepted while no worker runs, and worked off afterwards"},
    {"ended", CONFIG_UINT, "0", 0, UINT32_MAX, "N", "durable calls that end before"},
    {"held", CONFIG_UINT, NULL, 0, UINT32_MAX, "N",
     "durable messages for other entities that stay pending meanwhile; takeover: those that are "
     "pending when the home is killed (then 1000000 unless given)"},
    {"journal_mib", CONFIG_UINT, "64", 1, 4096, "MIB",
     "restart: what the journals hold beyond their last checkpoints"},
    {"json", CONFIG_BOOL, "no", 0, 0, NULL, "one line of JSON instead of a report"},
    {"spawn", CONFIG_TEXT, NULL, 0, 0, "mysql|sqlite|URL",
     "run on a private cluster with a private database, or on an empty database of a server"},
    {"workers", CONFIG_UINT, "2", 1, CLUSTER_WORKERS_MAX, "N", "worker processes of --spawn"},
    {"brokers", CONFIG_UINT, "1", 1, CLUSTER_BROKERS_MAX, "N",
     "broker processes of --spawn, over which the lanes are spread"},
    {"lanes", CONFIG_UINT, "0", 0, LIMIT_LANES_MAX, "N",
     "lanes of --spawn; 0: the database's default. takeover and `forward` always: two brokers, of "
     "which one is home of the only lane"},
    {"url", CONFIG_TEXT, "fabric://127.0.0.1:5700", 0, 0, "URL",
     "brokers of a cluster that runs already; without --spawn"},
    {"store", CONFIG_TEXT, NULL, 0, 0, "URL",
     "that cluster's database, to read its settings for the report"},
    {"store_password", CONFIG_SECRET, NULL, 0, 0, "PASSWORD", "that database's password"},
    {"allow_plaintext", CONFIG_BOOL, "no", 0, 0, NULL,
     "connect to addresses beyond this machine without encryption"},
    {"forward", CONFIG_TEXT, "auto", 0, 0, "auto|always|never",
     "which brokers are reached by way of others: those that cannot be connected to, all but those "
     "of `url`, or none. always with --spawn: the client knows a second broker only"},
    {NULL, CONFIG_TEXT, NULL, 0, 0, NULL, NULL},
};

void options_print_usage(void)
{
    printf("usage: fabric-bench ask|tell [--durable|--volatile] [options]\n"
           "       fabric-bench restart|takeover --spawn mysql [options]\n\n"
           "ask, tell   throughput and latency of messages to entities of the type Bench\n"
           "restart     the time from a broker's start, after a kill -9, to its first delivery\n"
           "takeover    the time from the home's kill -9 to the first delivery by a standby\n\n");
    config_print_usage(options_keys, stdout);
    printf("\nexit status: 0 measured, 64 usage, 69 broker or database unavailable,\n"
           "             70 internal or wrong replies, 78 configuration\n");
}

static fabric_error_t check_spawn(const char *spawn, reason_t *reason)
{
    if (spawn && !database_is_kind(spawn)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "--spawn: '%.40s' is neither mysql nor sqlite", spawn);
    }
    return FABRIC_OK;
}

/* Refuses what a mode cannot do. */
static fabric_error_t check_mode(const options_t *options, reason_t *reason)
{
    bool recovers = options->mode == MODE_RESTART || options->mode == MODE_TAKEOVER;
    const char *wrong = NULL;
    if ((recovers || options->without_worker) && !options->spawn) {
        wrong = "restart, takeover and --without-worker need --spawn";
    } else if (recovers && !options->durable) {
        wrong = "restart and takeover are for durable messages";
    } else if (options->mode == MODE_TAKEOVER && strcmp(options->spawn, "sqlite") == 0) {
        wrong = "takeover needs a database that two brokers share";
    } else if (options->mode == MODE_TAKEOVER && options->held == 0) {
        wrong = "takeover needs at least one message that is held";
    } else if (options->without_worker && !(options->mode == MODE_TELL && options->durable)) {
        wrong = "--without-worker is for durable tells";
    } else if (options->early &&
               !(options->mode == MODE_ASK && options->durable && options->state_bytes == 0)) {
        wrong = "--early is for durable asks without --state";
    } else if (options->keyed && (recovers || !options->durable)) {
        wrong = "--keyed is for durable asks and tells";
    } else if (options->state_bytes > 0 && (recovers || !options->durable)) {
        wrong = "--state is for durable asks and tells";
    } else if (options->brokers > 1 && (recovers || !options->spawn)) {
        wrong = "--brokers is for ask and tell with --spawn";
    } else if (options->brokers > 1 && strcmp(options->spawn, "sqlite") == 0) {
        wrong = "several brokers need a database that they share";
    } else if (recovers && (options->calls > 0 || options->ended > 0)) {
        wrong = "--calls and --ended are for ask and tell";
    }
    return wrong ? reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "%s", wrong) : FABRIC_OK;
}

static fabric_error_t take_values(options_t *options, const config_t *config, reason_t *reason)
{
    const char *spawn = config_text(config, "spawn");
    static const char *const forwards[] = {"auto", "always", "never", NULL}; /* fabric_forward_t */
    unsigned forward = 0;
    unsigned payload = 0;
    if (config_bool(config, "durable") && config_bool(config, "volatile")) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "--durable and --volatile exclude each other");
    }
    options->durable = !config_bool(config, "volatile");
    options->entities = (uint32_t)config_uint(config, "entities");
    options->inflight = (uint32_t)config_uint(config, "inflight");
    options->size = (uint32_t)config_uint(config, "size");
    options->duration_s = (uint32_t)config_uint(config, "duration");
    options->warmup_s = (uint32_t)config_uint(config, "warmup");
    options->calls = config_uint(config, "calls");
    options->early = config_bool(config, "early");
    options->keyed = config_bool(config, "keyed");
    options->state_bytes = (uint32_t)config_uint(config, "state");
    options->without_worker = config_bool(config, "without_worker");
    options->ended = (uint32_t)config_uint(config, "ended");
    options->held = (uint32_t)config_uint(config, "held");
    options->journal_mib = (uint32_t)config_uint(config, "journal_mib");
    options->json = config_bool(config, "json");
    options->workers = (uint32_t)config_uint(config, "workers");
    options->brokers = (uint32_t)config_uint(config, "brokers");
    options->lanes = (uint32_t)config_uint(config, "lanes");
    options->spawn = spawn;
    options->url = spawn ? NULL : config_text(config, "url");
    options->store = spawn ? NULL : config_text(config, "store");
    options->store_password = config_text(config, "store_password");
    options->allow_plaintext = config_bool(config, "allow_plaintext");
    if (options->mode == MODE_TAKEOVER && !config_is_set(config, "held")) {
        options->held = TAKEOVER_HELD;
    }
    fabric_error_t error = config_choice(config, "forward", forwards, &forward, reason);
    options->forward = (fabric_forward_t)forward;
    error = error ? error : config_choice(config, "payload", payload_kind_names, &payload, reason);
    options->payload = (payload_kind_t)payload;
    error = error ? error : check_spawn(spawn, reason);
    return error ? error : check_mode(options, reason);
}

fabric_error_t options_load(options_t *options, config_t *config, int argc, char **argv,
                            reason_t *reason)
{
    int rest = 0;
    *options = (options_t){0};
    fabric_error_t error =
        config_load(config, argc, argv, reason, &rest, &options->help, &options->version);
    if (error || options->help || options->version) {
        return error;
    }
    const char *name = rest + 1 == argc ? argv[rest] : "";
    unsigned mode = 0;
    while (mode < MODE_COUNT && strcmp(name, options_mode_names[mode]) != 0) {
        mode++;
    }
    if (mode == MODE_COUNT) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "give one of: ask, tell, restart, takeover; see --help");
    }
    options->mode = (options_mode_t)mode;
    options->tell = options->mode != MODE_ASK;
    return take_values(options, config, reason);
}
