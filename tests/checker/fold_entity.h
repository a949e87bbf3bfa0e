/* The description of the entity type Fold, for the module that brings it. */
#ifndef TESTS_CHECKER_FOLD_ENTITY_H
#define TESTS_CHECKER_FOLD_ENTITY_H

#include <fabric/worker.h>

extern const fabric_entity_type_t fold_entity;

#endif
