/* fabricctl type: which entity types the cluster knows, who brings them, and what their messages
 * hold; and forgetting one. */
#include "cli/commands.h"

#include <string.h>

#include "cli/forget.h"
#include "cli/json.h"
#include "cli/json_schema.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/type_print.h"
#include "core/memory.h"
#include "core/printable.h"

/* ---- rows ---- */

/* The names of the runners that bring the type. */
static json_t *runner_names(const json_t *merged, const json_t *type)
{
    json_t *names = json_array();
    size_t index;
    const json_t *id;
    json_array_foreach(json_object_get(type, "runners"), index, id)
    {
        const char *text = json_string_value(id);
        const json_t *runner =
            cli_find(json_object_get(merged, "runners"), "incarnation", text ? text : "");
        json_t *name = json_object_get(runner, "name");
        json_array_append(names, name ? name : (json_t *)(uintptr_t)id);
    }
    return names;
}

static json_t *make_row(const json_t *merged, const json_t *type)
{
    json_t *row = json_object();
    json_object_set(row, "name", json_object_get(type, "name"));
    json_object_set(row, "group", json_object_get(type, "group"));
    json_object_set_new(row, "runners", runner_names(merged, type));
    json_object_set(row, "waiting", json_object_get(type, "waiting"));
    return row;
}

json_t *cli_type_rows(const json_t *merged, type_description_t *const *descriptions)
{
    json_t *rows = json_array();
    size_t index;
    const json_t *type;
    json_array_foreach(json_object_get(merged, "types"), index, type)
    {
        const type_description_t *description = descriptions[index];
        json_t *row = make_row(merged, type);
        json_t *tags = json_array();
        for (size_t i = 0; description && i < description->message_count; i++) {
            json_array_append_new(tags, cli_json_text(description->messages[i].tag));
        }
        json_object_set_new(row, "messages", tags);
        json_array_append_new(rows, row);
    }
    return rows;
}

/* ---- type ls ---- */

static void print_list(const cli_options_t *options, const json_t *merged,
                       type_description_t *const *descriptions, size_t count)
{
    static const cli_column_t columns[] = {
        {"TYPE", "name", 0},         {"GROUP", "group", 0},
        {"RUNNERS", "runners", 0},   {"SHARDS WAITING", "waiting", 0},
        {"MESSAGES", "messages", 0}, {NULL, NULL, 0}};
    if (options->json_schema) {
        json_t *document = json_schema_of_types(descriptions, count);
        cli_json_print(document, stdout);
        json_decref(document);
        return;
    }
    json_t *rows = cli_type_rows(merged, descriptions);
    if (options->json) {
        cli_json_print(rows, stdout);
    } else {
        cli_table_print(rows, columns, "none: they come with the first worker", stdout);
    }
    json_decref(rows);
}

static int list_types(const cli_options_t *options, fabric_client_t *client, const json_t *merged)
{
    const json_t *types = json_object_get(merged, "types");
    size_t count = json_array_size(types);
    type_description_t **descriptions = memory_allocate_zeroed(count + 1, sizeof *descriptions);
    int code = CLI_DONE;
    for (size_t i = 0; i < count && code == CLI_DONE; i++) {
        code = cli_describe(options, client, cli_text_of(json_array_get(types, i), "name"),
                            &descriptions[i]);
    }
    if (code == CLI_DONE) {
        print_list(options, merged, descriptions, count);
    }
    for (size_t i = 0; i < count; i++) {
        type_description_destroy(&descriptions[i]);
    }
    free(descriptions);
    return code;
}

/* ---- type show ---- */

static void print_names(const json_t *names, const char *none)
{
    size_t index;
    const json_t *name;
    json_array_foreach((json_t *)(uintptr_t)names, index, name)
    {
        char safe[PRINTABLE_SIZE(256)];
        printable_copy(json_string_value(name) ? json_string_value(name) : "-", safe, sizeof safe);
        printf("%s%s", index > 0 ? ", " : "", safe);
    }
    puts(json_array_size(names) > 0 ? "" : none);
}

static void print_text(const type_description_t *type, const char *tag, const json_t *row)
{
    char name[PRINTABLE_SIZE(sizeof type->name)];
    char group[PRINTABLE_SIZE(sizeof type->group)];
    printable_copy(type->name, name, sizeof name);
    printable_copy(type->group, group, sizeof group);
    char keys[48] = "as long as the brokers say";
    uint64_t retention_ms = type->options.key_retention_ms;
    if (retention_ms > 0) {
        snprintf(keys, sizeof keys, "%llu ms", (unsigned long long)retention_ms);
    }
    printf("type         %s\ngroup        %s\nmailbox      %u messages of one entity\n"
           "concurrency  %u\nkeys stand   %s after their messages have ended\n%swaiting      %lld "
           "shards have messages that no runner takes "
           "now\nrunners      ",
           name, group, type->mailbox_capacity, type->concurrency, keys,
           type->options.tells ? "tells        other entities, with its replies\n" : "",
           cli_number_of(row, "waiting"));
    print_names(json_object_get(row, "runners"),
                "none: its durable messages wait until a worker brings it");
    type_print_messages(type, tag, stdout);
}

static void show(const cli_options_t *options, const type_description_t *type, const char *tag,
                 json_t *row)
{
    if (options->json_schema) {
        type_description_t *one = (type_description_t *)(uintptr_t)type;
        json_t *document =
            tag ? json_schema_of_message(type, type_description_message(type, fabric_bytes_of(tag)))
                : json_schema_of_types(&one, 1);
        cli_json_print(document, stdout);
        json_decref(document);
    } else if (options->json) {
        type_add_json(type, tag, row);
        cli_json_print(row, stdout);
    } else {
        print_text(type, tag, row);
    }
}

static int show_type(const cli_options_t *options, fabric_client_t *client, const json_t *merged)
{
    const char *name = options->arguments[2];
    const char *tag = options->argument_count > 3 ? options->arguments[3] : NULL;
    type_description_t *type = NULL;
    int code = cli_describe(options, client, name, &type);
    if (code == CLI_DONE && tag && !type_description_message(type, fabric_bytes_of(tag))) {
        code = cli_refuse_tag(type, tag);
    }
    if (code == CLI_DONE) {
        json_t *row =
            make_row(merged, cli_find(json_object_get(merged, "types"), "name", type->name));
        json_object_set_new(row, "name", cli_json_text(type->name));
        show(options, type, tag, row);
        json_decref(row);
    }
    type_description_destroy(&type);
    return code;
}

/* ---- the command ---- */

int cli_type(const cli_options_t *options)
{
    size_t count = options->argument_count;
    const char *verb = count > 1 ? options->arguments[1] : "";
    bool lists = strcmp(verb, "ls") == 0 && count == 2;
    bool forgets = strcmp(verb, "forget") == 0 && count == 3;
    if (!lists && !forgets && !(strcmp(verb, "show") == 0 && (count == 3 || count == 4))) {
        return cli_usage_error("type takes: ls, show TYPE [TAG], or forget TYPE");
    }
    fabric_client_t *client = NULL;
    cluster_view_t view = {0};
    int code = cli_connect(options, 0, 0, &client);
    if (code == CLI_DONE) {
        code = cluster_view_ask(options, client, false, &view);
    }
    if (code == CLI_DONE && forgets) {
        code = cli_forget(options, client, &view);
    } else if (code == CLI_DONE) {
        code = lists ? list_types(options, client, view.merged)
                     : show_type(options, client, view.merged);
    }
    cluster_view_destroy(&view);
    fabric_client_close(&client);
    return code;
}
