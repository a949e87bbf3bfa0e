/* The limits of schemas/limits.def as constants. */
#ifndef CORE_LIMITS_H
#define CORE_LIMITS_H

#include "core/iso8601.h"

enum {
#define FABRIC_LIMIT_ROW(name, value, meaning) LIMIT_##name = (value),
#include "schemas/limits.def"
#undef FABRIC_LIMIT_ROW
};
/* The last millisecond of the year 9999, Unix time: too large for an enum. */
#define LIMIT_DELIVER_AT_MS_MAX ISO8601_MS_MAX

#endif
