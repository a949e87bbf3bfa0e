/* The server that the tests of a program share, and databases on it. */
#include "tests/harness/mariadb.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "mysql/mysql_url.h"

enum { REVIVE_MS = 10000, START_MS = 60000 };

static mariadb_server_t server = {.process = {.output = -1}, .owner = -1};

const char *mariadb_password(void)
{
    return getenv("FABRIC_TEST_MYSQL_PASSWORD");
}

mariadb_server_t *mariadb_own(void)
{
    return server.folder[0] ? &server : NULL;
}

bool mariadb_execute(const char *url, const char *statements)
{
    return mariadb_client(url, true, statements, true);
}

/* ---- databases ---- */

bool mariadb_fresh_database(char url[512])
{
    const char *slash = strchr(server.url + strlen("mysql://"), '/');
    const char *query = strchr(server.url, '?');
    uint64_t number;
    random_bytes(&number, sizeof number);
    char statement[100];
    snprintf(statement, sizeof statement, "CREATE DATABASE fabric_%016llx",
             (unsigned long long)number);
    snprintf(url, 512, "%.*s/%s%.200s", (int)(slash - server.url), server.url,
             strrchr(statement, ' ') + 1, query ? query : "");
    return mariadb_client(server.url, false, statement, true);
}

void mariadb_drop_database(const char *url)
{
    mysql_url_t parsed;
    if (!mysql_url_parse(url, NULL, &parsed)) {
        char statement[100];
        snprintf(statement, sizeof statement, "DROP DATABASE IF EXISTS %s", parsed.database);
        (void)mariadb_client(server.url, false, statement, true);
    }
}

/* ---- starting and stopping ---- */

bool mariadb_start(char reason[256])
{
    const char *foreign = getenv("FABRIC_TEST_MYSQL");
    if (server.url[0]) {
        return true;
    }
    if (!foreign || !*foreign) {
        return mariadb_server_new(&server, reason);
    }
    if (strlen(foreign) >= sizeof server.url || !mariadb_client(foreign, false, "DO 1", true)) {
        snprintf(reason, 256, "the server that FABRIC_TEST_MYSQL names does not answer");
        return false;
    }
    snprintf(server.url, sizeof server.url, "%s", foreign);
    return true;
}

void mariadb_revive(void)
{
    mariadb_server_t *own = mariadb_own();
    if (!own) {
        return;
    }
    if (own->process.pid > 0) {
        kill(own->process.pid, SIGCONT);
    }
    if (!mariadb_server_answers(own, REVIVE_MS)) {
        mariadb_server_kill(own);
        if (!mariadb_server_run(own) || !mariadb_server_answers(own, START_MS)) {
            fprintf(stderr, "the private server cannot be revived\n");
        }
    }
}

void mariadb_stop(void)
{
    mariadb_server_destroy(&server);
}
