#include "common/base/error.h"

#include "common/base/compiler.h"

#include <stddef.h>
#include <string.h>

static const struct pgn_error_info table[] = {
#define PGN_ERROR(name, number, wire, http, close, retry, text) {PGN_E_##name, "PGN_E_" #name, wire, http, close, retry, text},
#include "common/base/error_table.h"
#undef PGN_ERROR
};

const struct pgn_error_info *pgn_error_info(int error)
{
    const struct pgn_error_info *internal = &table[0];

    for (size_t i = 0; i < PGN_COUNT(table); i++) {
        if (table[i].error == error)
            return &table[i];
        if (table[i].error == PGN_E_INTERNAL)
            internal = &table[i];
    }
    return internal;
}

const struct pgn_error_info *pgn_error_by_wire(const char *wire)
{
    for (size_t i = 0; i < PGN_COUNT(table); i++)
        if (strcmp(table[i].wire, wire) == 0)
            return &table[i];
    return NULL;
}
