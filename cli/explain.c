/* fabricctl error: what an error means and what to do about it. */
#include "cli/commands.h"

#include <stdlib.h>

#include <jansson.h>

#include "cli/report.h"

static const fabric_error_t all[] = {
#define FABRIC_ERROR_ROW(number, symbol, name, class, meaning, remedy) FABRIC_ERROR_##symbol,
#include "schemas/errors.def"
#undef FABRIC_ERROR_ROW
};

enum { ERROR_COUNT = sizeof all / sizeof all[0] };

static json_t *describe(fabric_error_t error)
{
    return json_pack("{s:i, s:s, s:s, s:s, s:s}", "number", (int)error, "name",
                     fabric_error_name(error), "class",
                     fabric_error_class_name(fabric_error_class(error)), "meaning",
                     fabric_error_meaning(error), "remedy", fabric_error_remedy(error));
}

static void print_json(json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    if (!text) {
        abort();
    }
    puts(text);
    free(text);
    json_decref(value);
}

static void list_all(bool json)
{
    json_t *array = json_array();
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        if (json) {
            json_array_append_new(array, describe(all[i]));
        } else {
            printf("%3d  %-26s %-9s %s\n", (int)all[i], fabric_error_name(all[i]),
                   fabric_error_class_name(fabric_error_class(all[i])),
                   fabric_error_meaning(all[i]));
        }
    }
    if (json) {
        print_json(array);
    } else {
        json_decref(array);
    }
}

static void print_one(fabric_error_t error, bool json)
{
    if (json) {
        print_json(describe(error));
        return;
    }
    printf("name     %s\nnumber   %d\nclass    %s\nmeaning  %s\nremedy   %s\n",
           fabric_error_name(error), (int)error, fabric_error_class_name(fabric_error_class(error)),
           fabric_error_meaning(error), fabric_error_remedy(error));
}

int cli_explain(const cli_options_t *options)
{
    if (options->argument_count > 2) {
        return cli_usage_error("error takes one name");
    }
    if (options->argument_count == 1) {
        list_all(options->json);
        return CLI_DONE;
    }
    fabric_error_t error = FABRIC_OK;
    if (fabric_error_from_name(options->arguments[1], &error) != FABRIC_OK) {
        return cli_fail(FABRIC_ERROR_NOT_FOUND, "run `fabricctl error` for a list",
                        "no error is named '%.100s'", options->arguments[1]);
    }
    print_one(error, options->json);
    return CLI_DONE;
}
