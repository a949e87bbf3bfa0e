/* Runs README.md's recipe for a database word for word. */
#include <stdio.h>
#include <string.h>

#include "tests/harness/invocation.h"
#include "tests/harness/mariadb.h"

enum { RECIPE_SIZE = 2000, LINE_SIZE = 400, URL_SIZE = 512 };

/* Copies the document's block of SQL. */
static void read_recipe(char recipe[RECIPE_SIZE])
{
    char line[LINE_SIZE];
    size_t used = 0;
    bool inside = false;
    FILE *file = fopen("README.md", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (inside && strncmp(line, "```", 3) != 0) {
            used += (size_t)snprintf(recipe + used, RECIPE_SIZE - used, "%s", line);
            assert_true(used < RECIPE_SIZE);
        }
        inside = strcmp(line, "```sql\n") == 0 || (inside && strncmp(line, "```", 3) != 0);
    }
    fclose(file);
    assert_true(used > 0);
}

/* The password between the quotes after IDENTIFIED BY. */
static void read_password(const char *recipe, char password[LINE_SIZE])
{
    static const char before[] = "IDENTIFIED BY '";
    const char *begin = strstr(recipe, before);
    assert_non_null(begin);
    assert_int_equal(sscanf(begin + sizeof before - 1, "%399[^']", password), 1);
}

/* The server of `url` with another user and the database of the recipe. */
static void make_url(const char *url, const char *user, char made[URL_SIZE])
{
    const char *server = strchr(url, '@') + 1;
    const char *database = strchr(server, '/');
    const char *rest = strchr(database, '?');
    assert_true(snprintf(made, URL_SIZE, "mysql://%s@%.*s/fabric%s", user, (int)(database - server),
                         server, rest ? rest : "") < URL_SIZE);
}

static void database_recipe_suffices(void **state)
{
    static invocation_t applied;
    testbed_t *bed = *state;
    char recipe[RECIPE_SIZE];
    char password[LINE_SIZE];
    char variable[LINE_SIZE + 40];
    char url[URL_SIZE];
    probe_text_t reply = {""};
    if (!mariadb_own()) {
        testbed_skip(bed, "the server is not ours to make users on");
    }
    read_recipe(recipe);
    read_password(recipe, password);
    assert_true(mariadb_execute(bed->database, recipe));
    make_url(bed->database, "fabric", url);
    snprintf(variable, sizeof variable, "FABRIC_STORE_PASSWORD=%s", password);
    const char *const environment[] = {variable, NULL};
    const char *const apply[] = {"fabricctl", "schema", "apply", "--store", url, NULL};
    invocation_run(bed, apply, environment, &applied);
    invocation_check(&applied, __LINE__, 0, NULL, apply);
    assert_true(mariadb_execute(
        bed->database, "REVOKE CREATE, ALTER, DROP, CREATE VIEW ON fabric.* FROM 'fabric'@'%'"));
    make_url(bed->database, "root", bed->database);
    bed->broker_store = url;
    bed->broker_environment = environment;
    testbed_start(bed, 1);
    assert_int_equal(fabric_client_ask(bed->client, fabric_entity(PROBE_TYPE, "x"), &probe_echo,
                                       &(probe_text_t){"hello"}, &reply, NULL),
                     FABRIC_OK);
    assert_string_equal(reply.text, "hello");
    testbed_kill(&bed->cluster.broker);
    testbed_restart_broker(bed);
    testbed_wait_ready(bed, 1);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"database_recipe_suffices", database_recipe_suffices, TESTBED_MYSQL},
    };
    return testbed_run("readme", tests, sizeof tests / sizeof tests[0]);
}
