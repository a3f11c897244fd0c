/* A row of the directory as a line of an export, and back: fields by the names of columns. */
#include "services/storage/move_internal.h"

#include <string.h>

/* Beside sto_dir_tables. */
static const struct {
    Pigeon__ExportLine__WhatCase what;
    const ProtobufCMessageDescriptor *type;
} kinds[STO_DIR_TABLES] = {
    {PIGEON__EXPORT_LINE__WHAT_USER, &pigeon__export_user__descriptor},
    {PIGEON__EXPORT_LINE__WHAT_SESSION, &pigeon__export_session__descriptor},
    {PIGEON__EXPORT_LINE__WHAT_CONTACT, &pigeon__export_contact__descriptor},
    {PIGEON__EXPORT_LINE__WHAT_INVITE, &pigeon__export_invite__descriptor},
    {PIGEON__EXPORT_LINE__WHAT_FILE, &pigeon__export_file__descriptor},
    {PIGEON__EXPORT_LINE__WHAT_AUDIT, &pigeon__export_audit__descriptor},
    {PIGEON__EXPORT_LINE__WHAT_SETTING, &pigeon__export_setting__descriptor},
    {PIGEON__EXPORT_LINE__WHAT_MQTT, &pigeon__export_mqtt__descriptor},
};

static void *place(void *message, const ProtobufCMessageDescriptor *type, const char *column, ProtobufCType *ret_type)
{
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(type, column);

    *ret_type = f->type; /* every column has one: tests/unit/storage/test_move.c */
    return (char *)message + f->offset;
}

bool sto_line_of_dir(struct pgn_arena *arena, sqlite3_stmt *row, size_t table, Pigeon__ExportLine *ret)
{
    const ProtobufCMessageDescriptor *type = kinds[table].type;
    ProtobufCMessage *message = pgn_arena_alloc(arena, type->sizeof_message);

    protobuf_c_message_init(type, message);
    for (int c = 0; sto_dir_tables[table].columns[c]; c++) {
        ProtobufCType kind;
        void *to = place(message, type, sto_dir_tables[table].columns[c], &kind);

        if (kind == PROTOBUF_C_TYPE_STRING)
            *(char **)to = sto_sql_text(arena, row, c);
        else if (kind == PROTOBUF_C_TYPE_INT64)
            *(int64_t *)to = sqlite3_column_int64(row, c);
        else {
            size_t len = (size_t)sqlite3_column_bytes(row, c);
            ProtobufCBinaryData *b = to;

            b->len = len;
            b->data = pgn_arena_alloc(arena, len + 1);
            if (len)
                memcpy(b->data, sqlite3_column_blob(row, c), len);
        }
    }
    ret->what_case = kinds[table].what;
    ret->user = (Pigeon__ExportUser *)message; /* one place for all of them: a union */
    struct pgn_buf text = {0};
    char problem[160];
    sto_line_text(ret, &text);
    bool readable = sto_line_parse(arena, (const char *)text.data, text.len, problem, sizeof problem) != NULL;
    pgn_buf_release(&text);
    return readable;
}

int sto_line_table(const Pigeon__ExportLine *line)
{
    for (int i = 0; i < STO_DIR_TABLES; i++)
        if (kinds[i].what == line->what_case)
            return i;
    return -1;
}

void sto_line_bind(const Pigeon__ExportLine *line, size_t table, sqlite3_stmt *insert)
{
    for (int c = 0; sto_dir_tables[table].columns[c]; c++) {
        ProtobufCType kind;
        const void *from = place(line->user, kinds[table].type, sto_dir_tables[table].columns[c], &kind);

        if (kind == PROTOBUF_C_TYPE_STRING) {
            sqlite3_bind_text(insert, c + 1, *(char *const *)from, -1, SQLITE_TRANSIENT);
        } else if (kind == PROTOBUF_C_TYPE_INT64) {
            sqlite3_bind_int64(insert, c + 1, *(const int64_t *)from);
        } else {
            const ProtobufCBinaryData *b = from;

            sqlite3_bind_blob(insert, c + 1, b->len ? (const void *)b->data : "", (int)b->len, SQLITE_TRANSIENT);
        }
    }
}
