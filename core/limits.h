/* The limits of schemas/limits.def as constants. */
#ifndef CORE_LIMITS_H
#define CORE_LIMITS_H

enum {
#define FABRIC_LIMIT_ROW(name, value, meaning) LIMIT_##name = (value),
#include "schemas/limits.def"
#undef FABRIC_LIMIT_ROW
};

#endif
