/* The release of the library. */
#include <fabric/version.h>

const char *fabric_version(void)
{
    return FABRIC_VERSION_STRING;
}
