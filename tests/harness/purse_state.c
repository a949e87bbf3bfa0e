/* What is stored of a Purse: see purse_state.h. */
#include "tests/harness/purse_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness/invocation.h"
#include "tests/harness/purse.h"

void purse_state_expect(testbed_t *bed, const char *id, int64_t amount)
{
    static invocation_t invocation;
    char beginning[48];
    const char *const arguments[] = {
        "fabricctl", "--url", bed->cluster.urls, "entity", "state", PURSE_TYPE, id, NULL};
    invocation_run(bed, arguments, NULL, &invocation);
    snprintf(beginning, sizeof beginning, "{\"amount\": %" PRId64 ",", amount);
    if (invocation.status != 0 || strncmp(invocation.output, beginning, strlen(beginning)) != 0) {
        fail_msg("%s has %" PRId64 ", and what is stored is %s%s", id, amount, invocation.output,
                 invocation.complaints);
    }
}
