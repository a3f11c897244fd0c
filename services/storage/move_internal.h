/* What the files move_*.c share. */
#ifndef STO_MOVE_INTERNAL_H
#define STO_MOVE_INTERNAL_H

#include "services/storage/dir_internal.h"
#include "services/storage/dir_replica.h"
#include "services/storage/move.h"

#include "export.pb-c.h"

#include <sodium.h>
#include <stdio.h>

enum { STO_MOVE_FORMAT = 1, STO_MOVE_HASH = 32, STO_CHUNK_BYTES = 256 * 1024, STO_LINE_KINDS = 32 };
#define STO_IMPORT_MARK "import" /* store-wide value: the file's hash and how many of its chunks are in */

/* ---- move_line.c: rows and lines ---- */

/* Ids of conversations by their numbers: for readers of a file. */
struct pgn_map *sto_names_load(struct sto_kv *kv, struct sto_view *view);
void sto_names_free(struct pgn_map **names);
/* A row of the message log as a line; arena is the line's. */
void sto_line_of_row(const struct pgn_map *names, struct pgn_arena *arena, const struct sto_kv_put *row, Pigeon__ExportLine *ret);
/* Back: false when the line is no row of the log. key and value are replaced. */
bool sto_line_to_row(const Pigeon__ExportLine *line, struct pgn_buf *key, struct pgn_buf *value, enum sto_cf *ret_cf);
/* A row of the directory's table i, at the statement's current row; false: it cannot be written (text that is no UTF-8). */
bool sto_line_of_dir(struct pgn_arena *arena, sqlite3_stmt *row, size_t table, Pigeon__ExportLine *ret);
/* Back: the table's number, or -1; bound to the table's insert. */
int sto_line_table(const Pigeon__ExportLine *line);
void sto_line_bind(const Pigeon__ExportLine *line, size_t table, sqlite3_stmt *insert);
/* Text of a line, without its end. */
void sto_line_text(const Pigeon__ExportLine *line, struct pgn_buf *out);
Pigeon__ExportLine *sto_line_parse(struct pgn_arena *arena, const char *text, size_t len, char *problem, size_t problem_bytes);

/* ---- move_file.c: chunks ---- */

struct sto_counts {
    uint64_t of[STO_LINE_KINDS]; /* by the line's kind */
};

struct sto_move_out {
    int fd;                  /* -1: only counts and hashes */
    uint64_t at, part_bytes; /* what is there from before ends at part_bytes */
    struct pgn_buf text, packed, scratch, line;
    crypto_generichash_state hash;
    uint64_t chunk, lines, rows, skipped;
    struct sto_counts counts;
    int error;
};
void sto_out_begin(struct sto_move_out *o, int fd, uint64_t part_bytes);
void sto_out_line(struct sto_move_out *o, const Pigeon__ExportLine *line);
/* The last chunk and the last line. ret_hash: the file's. */
int sto_out_end(struct sto_move_out *o, uint8_t ret_hash[STO_MOVE_HASH]) PGN_MUST_USE;
void sto_out_release(struct sto_move_out *o);

/* Called for each line but chunk and end; 0, or an error that ends the reading. */
typedef int sto_in_row(void *ctx, const Pigeon__ExportLine *line);
/* Called behind each chunk; its number. */
typedef int sto_in_chunk(void *ctx, uint64_t number);
/* Reads a whole file and checks it. row and chunk may be NULL. */
int sto_in_read(const char *path, sto_in_row *row, sto_in_chunk *chunk, void *ctx, struct sto_counts *ret_counts,
                uint8_t ret_hash[STO_MOVE_HASH], struct pgn_buf *ret_problem) PGN_MUST_USE;

/* move_export.c: everything into o. */
int sto_move_walk(struct sto_store *s, struct sto_move_out *o, struct pgn_buf *ret_problem) PGN_MUST_USE;

#endif
