/* The addresses of hosts in tests: see fake_names.h. */
#include "tests/harness/fake_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

void fake_names_set(const char *host, const char *text)
{
    char path[600];
    char draft[620];
    snprintf(path, sizeof path, "%s/%s", getenv(NAMES_FOLDER), host);
    snprintf(draft, sizeof draft, "%s.new", path);
    FILE *file = fopen(draft, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(draft, path), 0);
}
