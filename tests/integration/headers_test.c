/* The public headers compile alone, as C and as C++, and so do the code samples in them and in the
 * documents.
 *
 * A sample stands between @code{.c} and @endcode in a public header, or in a ```c block of a
 * document. All samples of one file make one C file, in their order, behind the includes of
 * `sample_start`; so a sample is made of whole declarations and functions.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/folder.h"
#include "tests/harness/process.h"

enum { PATH_SIZE = FOLDER_PATH_SIZE + 20, LINE_SIZE = 1000, STEP_MS = 60000, FLAGS_MAX = 24 };

typedef struct compiler {
    const char *name;
    const char *standard;
    bool optional; /* not on every machine */
} compiler_t;

static const compiler_t compilers[] = {
    {"gcc", "-std=c11", false},
    {"g++", "-std=c++17", false},
    {"clang", "-std=c11", true},
    {"clang++", "-std=c++17", true},
};
enum { COMPILERS = sizeof compilers / sizeof compilers[0] };

static const char sample_start[] = "#include <stdio.h>\n"
                                   "#include <string.h>\n"
                                   "#include <fabric/client.h>\n"
                                   "#include <fabric/worker.h>\n"
                                   "#include \"examples/counter/counter.h\"\n";

static char folder[FOLDER_PATH_SIZE];
static bool present[COMPILERS];

static void path_of(const char *name, char path[PATH_SIZE])
{
    assert_true(snprintf(path, PATH_SIZE, "%s/%s", folder, name) < PATH_SIZE);
}

/* Runs a program to its end; whether it ended well. */
static bool run(const char *const *arguments)
{
    char log[PATH_SIZE];
    reason_t reason = {{0}};
    process_t process = PROCESS_NONE;
    path_of("log", log);
    unlink(log);
    fabric_error_t error = process_start(arguments, log, false, &reason, &process);
    error = error ? error : process_wait(&process, STEP_MS, &reason);
    process_stop(&process, 0);
    return error == FABRIC_OK;
}

static char database_folder[256];

static bool compiles(const compiler_t *compiler, const char *path, const char *flag)
{
    const char *const arguments[] = {compiler->name,
                                     compiler->standard,
                                     "-Wpedantic",
                                     "-Wall",
                                     "-Wextra",
                                     "-Werror",
                                     flag,
                                     "-I.",
                                     "-Icore/include",
                                     "-Ilibfabric_client/include",
                                     "-Iworker/include",
                                     database_folder,
                                     "-fsyntax-only",
                                     path,
                                     NULL};
    if (run(arguments)) {
        return true;
    }
    folder_print_end(folder, "log", stderr);
    return false;
}

/* "-I" and the folder of the database's client library, which handlers of transactional messages
 * use. */
static void find_database(void)
{
    FILE *output = popen("pkg-config --cflags-only-I libmariadb", "r");
    assert_non_null(output);
    assert_int_equal(fscanf(output, "%255s", database_folder), 1);
    assert_int_equal(pclose(output), 0);
}

static int setup(void **state)
{
    (void)state;
    reason_t reason;
    find_database();
    if (folder_make(&reason, folder) != FABRIC_OK) {
        fprintf(stderr, "%s\n", reason.text);
        return -1;
    }
    for (size_t i = 0; i < COMPILERS; i++) {
        const char *const ask[] = {compilers[i].name, "--version", NULL};
        present[i] = run(ask);
        if (!present[i] && !compilers[i].optional) {
            fprintf(stderr, "%s is not installed\n", compilers[i].name);
            return -1;
        }
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(folder);
    return 0;
}

/* ---- headers ---- */

/* Each header is the only one that its file includes, and is included twice. */
static void write_includer(const char *header, const char *path)
{
    const char *name = strstr(header, "fabric/");
    FILE *file = fopen(path, "w");
    assert_true(file && name);
    fprintf(file, "#include <%s>\n#include <%s>\nint main(void)\n{\n    return 0;\n}\n", name,
            name);
    assert_int_equal(fclose(file), 0);
}

static void find_headers(glob_t *headers)
{
    assert_int_equal(glob("*/include/fabric/*.h", 0, NULL, headers), 0);
    assert_true(headers->gl_pathc >= 8);
}

static void each_header_compiles_by_itself(void **state)
{
    (void)state;
    glob_t headers;
    unsigned failed = 0;
    find_headers(&headers);
    for (size_t i = 0; i < headers.gl_pathc; i++) {
        for (size_t k = 0; k < COMPILERS; k++) {
            char path[PATH_SIZE];
            path_of(strstr(compilers[k].standard, "++") ? "alone.cpp" : "alone.c", path);
            write_includer(headers.gl_pathv[i], path);
            if (present[k] && !compiles(&compilers[k], path, "-Wunused")) {
                fprintf(stderr, "%s: not for %s\n", headers.gl_pathv[i], compilers[k].name);
                failed++;
            }
        }
    }
    globfree(&headers);
    assert_int_equal(failed, 0);
}

static const char use_of_macros[] =
    "#include <fabric/client.h>\n"
    "#include <fabric/worker.h>\n"
    "typedef struct part { double weight; } part_t;\n"
    "typedef struct blob { uint32_t size; uint8_t data[8]; } blob_t;\n"
    "typedef enum color { RED, GREEN } color_t;\n"
    "static const fabric_choice_t color_items[] = {\n"
    "    FABRIC_CHOICE(RED, \"RED\", NULL), FABRIC_CHOICE(GREEN, \"GREEN\", \"Go.\")};\n"
    "static const fabric_choices_t colors = FABRIC_CHOICES(\"Color\", color_items);\n"
    "typedef struct label { char key[4]; bool value; } label_t;\n"
    "static const fabric_field_t part_fields[] = {FABRIC_F64(part_t, weight)};\n"
    "static const fabric_schema_t part = FABRIC_SCHEMA(\"Part\", part_t, part_fields);\n"
    "static const fabric_field_t label_fields[] = {\n"
    "    FABRIC_STRING(label_t, key), FABRIC_BOOL(label_t, value)};\n"
    "static const fabric_schema_t label =\n"
    "    FABRIC_SCHEMA(\"Label\", label_t, label_fields);\n"
    "static const fabric_choice_t variant_items[] = {\n"
    "    FABRIC_VARIANT(RED, \"part\", part, NULL),\n"
    "    FABRIC_VARIANT(GREEN, \"label\", label, \"A label.\")};\n"
    "static const fabric_choices_t variants = FABRIC_CHOICES(\"V\", variant_items);\n"
    "typedef struct all {\n"
    "    fabric_bytes_t view; const part_t *many; int64_t numbers[4]; const int64_t "
    "*more;\n"
    "    char words[2][8]; color_t colors[2]; const color_t *hues; label_t labels[2];\n"
    "    const label_t *notes; union { part_t part; label_t label; } either;\n"
    "    color_t color; int64_t time; bool b; int32_t i; int64_t l; uint32_t u; uint64_t "
    "v; char s[9]; blob_t blob;\n"
    "    part_t part; part_t parts[3]; uint32_t count; bool has_i; bool has_s;\n"
    "} all_t;\n"
    "static const fabric_field_t fields[] = {\n"
    "    FABRIC_BOOL(all_t, b), FABRIC_I64(all_t, l), FABRIC_U32(all_t, u),\n"
    "    FABRIC_U64(all_t, v), FABRIC_BYTES(all_t, blob), FABRIC_I32(all_t, i),\n"
    "    FABRIC_STRUCT(all_t, part, part), FABRIC_LIST(all_t, parts, count, part),\n"
    "    FABRIC_OPTIONAL(all_t, i, FABRIC_FIELD_I32, has_i), FABRIC_STRING(all_t, s),\n"
    "    FABRIC_OPTIONAL_STRING(all_t, s, has_s), FABRIC_ENUM(all_t, color, colors),\n"
    "#ifndef __cplusplus\n"
    "    FABRIC_BYTES(all_t, blob, FABRIC_PRESENT(all_t, has_s), FABRIC_DOC(\"b\")),\n"
    "    FABRIC_STRING(all_t, s, FABRIC_DEFAULT_STRING(\"x\"), FABRIC_JSON(\"S\")),\n"
    "    FABRIC_F64(all_t, part.weight, FABRIC_DEFAULT_F64(0.5)),\n"
    "    FABRIC_LIST(all_t, parts, count, part, FABRIC_PRESENT(all_t, has_i)),\n"
    "    FABRIC_STRUCT(all_t, part, part, FABRIC_PRESENT(all_t, has_i)),\n"
    "    FABRIC_ENUM(all_t, color, colors, FABRIC_DEFAULT(GREEN)),\n"
    "#endif\n"
    "    FABRIC_STRING_VIEW(all_t, view), FABRIC_BYTES_VIEW(all_t, view),\n"
    "    FABRIC_LIST_VIEW(all_t, many, count, part),\n"
    "    FABRIC_LIST_OF(all_t, numbers, count, FABRIC_FIELD_I64),\n"
    "    FABRIC_LIST_VIEW_OF(all_t, more, count, FABRIC_FIELD_I64),\n"
    "    FABRIC_STRING_LIST(all_t, words, count),\n"
    "    FABRIC_ENUM_LIST(all_t, colors, count, colors),\n"
    "    FABRIC_ENUM_LIST_VIEW(all_t, hues, count, colors),\n"
    "    FABRIC_MAP(all_t, labels, count, label),\n"
    "    FABRIC_MAP_VIEW(all_t, notes, count, label),\n"
    "    FABRIC_UNION(all_t, either, color, variants),\n"
    "    FABRIC_TIMESTAMP(all_t, time)};\n"
    "static const fabric_schema_t all = FABRIC_SCHEMA(\"All\", all_t, fields);\n"
    "static const fabric_message_type_t tag = {\"Tag\", &all, &part, true, NULL, &variants, "
    "false, false};\n"
    "static fabric_result_t handle(fabric_context_t *context, void *value,\n"
    "                              const void *request, void *reply)\n"
    "{\n"
    "    (void)value, (void)request, (void)reply;\n"
    "    if (value) {\n"
    "        return fabric_fail_with(context, RED, NULL);\n"
    "    }\n"
    "    return fabric_fail(context, 1, \"%d\", 2);\n"
    "}\n"
    "static const fabric_handler_t handlers[] = {{&tag, handle}};\n"
    "static const fabric_entity_type_t type = {\n"
    "    \"Type\", NULL, 0, NULL, NULL, handlers, 1, 0, 0, 0, 0, NULL, 0, FABRIC_BLOCK, false,\n"
    "    0, NULL, false, 0, NULL, NULL, NULL, 0, 0, false};\n"
    "FABRIC_MODULE(&type);\n"
    "int main(void)\n"
    "{\n"
    "    static fabric_client_options_t options;\n"
    "    fabric_entity_t entity = fabric_entity(\"Type\", FABRIC_VERSION_STRING);\n"
    "    options.connect_timeout_ms = FABRIC_CONNECT_LATER;\n"
    "    return fabric_bytes_equal(entity.id, fabric_bytes(&all, sizeof all)) ||\n"
    "           options.spin_us == FABRIC_SPIN_NEVER;\n"
    "}\n";

/* What expands only where it is used. */
static void macros_and_inline_functions_are_for_both_languages(void **state)
{
    (void)state;
    static const char *const names[] = {"use.c", "use.cpp"};
    for (size_t i = 0; i < 2; i++) {
        char path[PATH_SIZE];
        path_of(names[i], path);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(use_of_macros, file);
        assert_int_equal(fclose(file), 0);
        for (size_t k = 0; k < COMPILERS; k++) {
            bool same = (strstr(compilers[k].standard, "++") != NULL) == (i == 1);
            assert_true(!present[k] || !same || compiles(&compilers[k], path, "-Wunused"));
        }
    }
}

/* ---- samples ---- */

/* The line of a sample without what a comment puts before it. */
static const char *sample_line(const char *line, bool comment)
{
    if (!comment) {
        return line;
    }
    line += strspn(line, " ");
    assert_int_equal(*line, '*');
    return line[1] == ' ' ? line + 2 : line + 1;
}

/* Writes all samples of a document, each behind a line that says where it stands. Returns how many
 * there are. */
static unsigned write_samples(const char *document, FILE *to)
{
    const char *suffix = strrchr(document, '.');
    bool header = strcmp(suffix, ".h") == 0;
    const char *start = header ? "@code{.c}" : "```c\n";
    const char *end = header ? "@endcode" : "```";
    char line[LINE_SIZE];
    unsigned samples = 0;
    unsigned number = 0;
    bool inside = false;
    FILE *from = fopen(document, "r");
    assert_non_null(from);
    while (fgets(line, sizeof line, from)) {
        number++;
        if (inside && strstr(line, end)) {
            inside = false;
        } else if (inside) {
            fputs(sample_line(line, header), to);
        } else if (strstr(line, start)) {
            inside = true;
            samples++;
            fprintf(to, "#line %u \"%s\"\n", number + 1, document);
        }
    }
    assert_false(inside);
    fclose(from);
    return samples;
}

/* Whether the samples of a document compile. Adds to `samples` how many they are. */
static bool check_document(const char *document, unsigned *samples)
{
    char path[PATH_SIZE];
    path_of("samples.c", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(sample_start, file);
    unsigned found = write_samples(document, file);
    assert_int_equal(fclose(file), 0);
    *samples += found;
    for (size_t k = 0; found > 0 && k < COMPILERS; k++) {
        bool c = strstr(compilers[k].standard, "++") == NULL;
        if (c && present[k] && !compiles(&compilers[k], path, "-Wno-unused")) {
            fprintf(stderr, "%s: a sample does not compile with %s\n", document, compilers[k].name);
            return false;
        }
    }
    return true;
}

static void samples_compile(void **state)
{
    (void)state;
    static const char *const places[] = {
        "*/include/fabric/*.h",
        "*.md",
        "*/*.md",
        "*/*/*.md",
    };
    unsigned failed = 0;
    unsigned samples = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        glob_t documents;
        assert_int_equal(glob(places[i], 0, NULL, &documents), 0);
        for (size_t k = 0; k < documents.gl_pathc; k++) {
            failed += !check_document(documents.gl_pathv[k], &samples);
        }
        globfree(&documents);
    }
    print_message("%u samples\n", samples);
    assert_true(samples >= 3);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_header_compiles_by_itself),
        cmocka_unit_test(macros_and_inline_functions_are_for_both_languages),
        cmocka_unit_test(samples_compile),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
