/* Reading people from CSV; see import.h. */
#include "clients/cli/csv.h"
#include "clients/cli/import.h"
#include "clients/cli/password.h"

#include "common/base/alloc.h"
#include "common/base/id.h"
#include "common/base/map.h"
#include "common/base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { FILE_MAX = 256 << 20, PROBLEMS_SHOWN = 10, NAME_MAX_BYTES = 128 };

/* Which column holds what; -1: none does. */
struct columns {
    int user, name, password;
};

static int read_file(struct cli *c, const char *path, struct pgn_buf *out)
{
    FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
    if (!f)
        return cli_fail(c, CLI_USAGE, "cannot read %s: %s", path, strerror(errno));
    size_t got;
    do {
        pgn_buf_reserve(out, 65537);
        got = fread(out->data + out->len, 1, 65536, f);
        out->len += got;
    } while (got && out->len < FILE_MAX);
    bool failed = ferror(f) != 0;
    if (f != stdin)
        fclose(f);
    if (failed)
        return cli_fail(c, CLI_FAILED, "cannot read %s", path);
    if (out->len >= FILE_MAX)
        return cli_fail(c, CLI_USAGE, "%s is larger than 256 MB: import it in parts", path);
    if (memchr(out->data, 0, out->len) || !pgn_utf8_valid(out->data, out->len))
        return cli_fail(c, CLI_USAGE, "%s is not UTF-8 text: save it as CSV, UTF-8", path);
    out->data[out->len] = 0;
    return CLI_OK;
}

/* True when the record names columns. */
static bool header(const struct cli_csv *csv, struct columns *columns)
{
    struct columns found = {-1, -1, -1};
    for (int i = 0; i < csv->count; i++) {
        if (!strcasecmp(csv->fields[i], "user"))
            found.user = i;
        else if (!strcasecmp(csv->fields[i], "name"))
            found.name = i;
        else if (!strcasecmp(csv->fields[i], "password"))
            found.password = i;
    }
    if (found.user >= 0 && (csv->count == 1 || found.name >= 0 || found.password >= 0))
        *columns = found;
    else
        return false;
    return true;
}

static const char *field(const struct cli_csv *csv, int column)
{
    return column >= 0 && column < csv->count ? csv->fields[column] : "";
}

static const char *row_problem(const struct cli_person *p)
{
    if (!pgn_user_valid(p->user))
        return "this cannot be a user id (1 to 32 of a-z 0-9 _ -, beginning with a letter or digit)";
    if (strlen(p->name) > NAME_MAX_BYTES)
        return "the name is longer than 128 bytes";
    return *p->password ? cli_password_problem(p->user, p->password) : NULL;
}

static const void *key_of(const void *value, size_t *ret_len)
{
    const struct cli_person *p = value;
    *ret_len = strlen(p->user);
    return p->user;
}

static const char *twice(const struct cli_people *people, struct cli_person *row, struct pgn_map *seen)
{
    (void)people;
    return pgn_map_get_str(seen, row->user) ? "this user is in the file twice" : NULL;
}

int cli_people_read(struct cli *c, const char *path, struct cli_people *ret_people)
{
    struct pgn_buf text = {0};
    int code = read_file(c, path, &text);
    if (code)
        return code;
    struct cli_csv csv;
    struct columns columns = {0, 1, 2};
    struct cli_people people = {0};
    struct pgn_buf problems = {0};
    size_t cap = 0, wrong = 0;
    const char *problem = NULL;
    int got;
    cli_csv_init(&csv, (char *)text.data);
    for (bool first = true; (got = cli_csv_next(&csv, &problem)) > 0; first = false) {
        if (first && header(&csv, &columns))
            continue;
        if (people.count == cap) {
            cap = cap ? cap * 2 : 1024;
            people.rows = pgn_realloc(people.rows, cap * sizeof *people.rows);
        }
        struct cli_person *p = &people.rows[people.count++];
        *p = (struct cli_person){
            .user = field(&csv, columns.user), .name = field(&csv, columns.name), .password = field(&csv, columns.password)};
        if (!*p->name)
            p->name = p->user;
        people.with_password += *p->password != 0;
        problem = row_problem(p);
        if (problem && wrong++ < PROBLEMS_SHOWN)
            pgn_buf_printf(&problems, "\n%s:%d: \"%s\": %s", path, csv.record_line, p->user, problem);
    }
    if (got < 0 && wrong++ < PROBLEMS_SHOWN)
        pgn_buf_printf(&problems, "\n%s:%d: %s", path, csv.record_line, problem);
    /* The rows don't move any more: their keys may be borrowed. */
    struct pgn_map *seen = pgn_map_new(key_of);
    for (size_t i = 0; i < people.count; i++) {
        problem = twice(&people, &people.rows[i], seen);
        if (problem && wrong++ < PROBLEMS_SHOWN)
            pgn_buf_printf(&problems, "\n%s: \"%s\": %s", path, people.rows[i].user, problem);
        if (!problem)
            (void)pgn_map_put(seen, &people.rows[i]);
    }
    pgn_map_free(&seen);
    if (wrong)
        return cli_fail(c, CLI_USAGE, "%zu rows are wrong, nothing was imported:%s%s", wrong, pgn_buf_cstr(&problems),
                        wrong > PROBLEMS_SHOWN ? "\n..." : "");
    if (!people.count)
        return cli_fail(c, CLI_USAGE, "%s has no rows: one a user, with columns user,name[,password]", path);
    *ret_people = people;
    return CLI_OK;
}
