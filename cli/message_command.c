/* fabricctl message: what operators do about messages. */
#include "cli/commands.h"

#include <string.h>

#include "cli/cancel_requests.h"

int cli_message(const cli_options_t *options)
{
    if (options->argument_count < 2 || strcmp(options->arguments[1], "cancel") != 0) {
        return cli_usage_error("message takes: cancel REQUEST...");
    }
    return cli_cancel_requests(options);
}
