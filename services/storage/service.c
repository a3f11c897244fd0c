#include "services/storage/service.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/proto/rpc.h"
#include "common/proto/subjects.h"
#include "common/svc/log.h"
#include "services/storage/metrics.h"
#include "services/storage/move.h"
#include "services/storage/store_open.h"

#include <stdlib.h>
#include <string.h>

enum { READS_MAX = 20000, ADMIN_MAX = 64, BUDGET_SHARE_PERCENT = 75, BUDGET_UNKNOWN = 512 * 1024 };

/* ---- answers ---- */

void sto_answer(struct sto_service *s, const char *reply_subject, const struct pgn_buf *data)
{
    int error = reply_subject ? pgn_bus_publish(s->svc->bus, reply_subject, NULL, data->data, data->len) : 0;

    if (error == PGN_E_TOO_LARGE)
        sto_answer_error(s, reply_subject, PGN_E_TOO_LARGE, 0);
    else if (error)
        sto_count(STO_M_PUBLISH_FAILED, 1);
}

void sto_answer_error(struct sto_service *s, const char *reply_subject, int error, uint64_t retry_after_ms)
{
    struct pgn_buf out = {0};

    pgn_rpc_pack_error(&out, error, NULL, retry_after_ms);
    if (reply_subject && pgn_bus_publish(s->svc->bus, reply_subject, NULL, out.data, out.len) != 0)
        sto_count(STO_M_PUBLISH_FAILED, 1);
    pgn_buf_release(&out);
}

size_t sto_answer_budget(const struct sto_service *s)
{
    uint64_t max = pgn_bus_max_payload(s->svc->bus);

    return max ? (size_t)(max * BUDGET_SHARE_PERCENT / 100) : BUDGET_UNKNOWN;
}

/* ---- subjects ---- */

static void on_commit(void *ctx, const struct pgn_bus_msg *msg)
{
    sto_commit_lane_take(((struct sto_service *)ctx)->commits, msg);
}
static void on_conv(void *ctx, const struct pgn_bus_msg *msg)
{
    sto_read_take(ctx, msg);
}
static void on_session(void *ctx, const struct pgn_bus_msg *msg)
{
    sto_dir_lane_take(((struct sto_service *)ctx)->dir, msg, STO_ASK_SESSION);
}
static void on_check(void *ctx, const struct pgn_bus_msg *msg)
{
    sto_dir_lane_take(((struct sto_service *)ctx)->dir, msg, STO_ASK_CHECK);
}
static void on_seen(void *ctx, const struct pgn_bus_msg *msg)
{
    sto_dir_lane_take(((struct sto_service *)ctx)->dir, msg, STO_ASK_SEEN);
}
static void on_dir(void *ctx, const struct pgn_bus_msg *msg)
{
    sto_dir_lane_take(((struct sto_service *)ctx)->dir, msg, STO_ASK_DIR);
}
static void on_mqtt(void *ctx, const struct pgn_bus_msg *msg)
{
    sto_dir_lane_take(((struct sto_service *)ctx)->dir, msg, STO_ASK_MQTT);
}
static void on_admin(void *ctx, const struct pgn_bus_msg *msg)
{
    sto_admin_take(ctx, msg);
}

static int subscribe(struct sto_service *s)
{
    static const struct {
        const char *subject;
        pgn_bus_handler *handler;
    } all[] = {
        {PGN_SUBJ_STO_CONV, on_conv}, {PGN_SUBJ_STO_SESSION, on_session}, {PGN_SUBJ_STO_CHECK, on_check}, {PGN_SUBJ_STO_DIR, on_dir},
        {PGN_SUBJ_STO_SEEN, on_seen}, {PGN_SUBJ_STO_ADMIN, on_admin},     {PGN_SUBJ_STO_MQTT, on_mqtt},
    };
    int error = 0;

    _Static_assert(PGN_COUNT(all) == PGN_COUNT(((struct sto_service *)0)->subs), "one subscription a subject");
    for (size_t i = 0; !error && i < PGN_COUNT(all); i++)
        error = pgn_bus_subscribe(s->svc->bus, all[i].subject, "storage", all[i].handler, s, &s->subs[i]);
    return error;
}

int sto_writer_subscribe(struct sto_service *s)
{
    return pgn_bus_subscribe(s->svc->bus, PGN_SUBJ_COMMIT, "storage", on_commit, s, &s->commit_sub);
}

static void unsubscribe(struct sto_service *s)
{
    pgn_bus_unsubscribe(&s->commit_sub);
    for (size_t i = 0; i < PGN_COUNT(s->subs); i++)
        pgn_bus_unsubscribe(&s->subs[i]);
}

/* Publishes StoreUp; false: the bus does not take it. */
static bool announce(struct sto_service *s)
{
    Pigeon__StoreUp up = PIGEON__STORE_UP__INIT;
    struct pgn_buf out = {0};

    up.epoch = s->store->epoch;
    up.commit = s->store->ops->last_commit(s->store);
    pgn_pb_pack(&up, &out);
    int error = pgn_bus_publish(s->svc->bus, PGN_SUBJ_STORE_UP, NULL, out.data, out.len);
    sto_count(STO_M_PUBLISH_FAILED, error ? 1 : 0);
    pgn_buf_release(&out);
    return !error;
}

void sto_announce(struct sto_service *s)
{
    if (!announce(s))
        sto_doubt(s);
}

static void doubt_due(struct pgn_timer *t)
{
    sto_announce(PGN_CONTAINER(t, struct sto_service, doubt));
}

void sto_doubt(struct sto_service *s)
{
    enum { DOUBT_MS = 1000 };

    s->doubt.on_due = doubt_due;
    if (!pgn_timer_running(&s->doubt))
        pgn_timer_start(s->svc->loop, &s->doubt, DOUBT_MS);
}

void sto_service_bus_event(struct pgn_svc *svc, enum pgn_bus_event event)
{
    if (event == PGN_BUS_CONNECTED &&
        ((struct sto_service *)svc->state)->commits) /* also after a reconnect: what was published meanwhile may be lost */
        sto_announce(svc->state);
}

/* ---- start ---- */

/* PIGEON_FAULT=ack-before-commit,dedup-off,...: in test builds only. */
static void faults_read(struct sto_faults *faults)
{
#ifdef PGN_TEST_FAULTS
    const char *text = getenv("PIGEON_FAULT");

    if (!text)
        return;
    faults->ack_before_commit = strstr(text, "ack-before-commit") != NULL;
    faults->dedup_off = strstr(text, "dedup-off") != NULL;
    faults->drop_publish = strstr(text, "drop-publish") != NULL;
    faults->sync_off = strstr(text, "sync-off") != NULL;
    faults->seq_reset = strstr(text, "seq-reset") != NULL;
    faults->version_off = strstr(text, "version-off") != NULL;
    const char *at = strstr(text, "uncertain-at=");
    faults->uncertain_at = at ? (unsigned)strtoul(at + strlen("uncertain-at="), NULL, 10) : 0;
    pgn_log(PGN_WARN, "planted faults: %s", text);
#else
    (void)faults;
#endif
}

static void log_lines(const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");

        pgn_log(PGN_WARN, "%.*s", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

/* Every start logs how many entries there are: those cut off at the end show by that, all others by the chain. */
static void audit_check(struct sto_store *store)
{
    uint64_t count = 0, bad = 0;
    int error = store->ops->audit_verify(store, &count, &bad);

    if (error)
        pgn_log(PGN_ERR, "the audit log cannot be checked: %s", pgn_error_info(error)->text);
    else if (bad)
        pgn_log(PGN_ERR, "the audit log was tampered with: entry %llu is not what was written, or one before it is missing",
                (unsigned long long)bad);
    else
        pgn_log(PGN_INFO, "the audit log is whole: %llu entries", (unsigned long long)count);
}

void sto_store_look(struct sto_store *store)
{
    log_lines(pgn_buf_cstr(&store->notes));
    audit_check(store);
}

static int store_open(struct sto_service *s)
{
    struct pgn_buf problem = {0};
    int error = sto_store_open(s->svc->config, &s->faults, &s->store, &problem);

    if (error)
        pgn_log(PGN_ERR, "%s", problem.len ? pgn_buf_cstr(&problem) : pgn_error_info(error)->text);
    else
        sto_store_look(s->store);
    pgn_buf_release(&problem);
    return error;
}

int sto_service_begin(struct sto_service *s)
{
    if (sto_import_pending(s->store)) {
        pgn_log(PGN_ERR, "this store holds half an import: run `pigeon import` again, it goes on where it was");
        return PGN_E_CONFLICT;
    }
    s->commits = sto_commit_lane_new(s);
    s->dir = sto_dir_lane_new(s);
    s->readers = pgn_workers_new(s->svc->loop, "reader", (int)s->svc->config->storage_readers, READS_MAX);
    s->admin = pgn_workers_new(s->svc->loop, "admin", 1, ADMIN_MAX);
    int error = subscribe(s);
    if (!error && !s->store->ops->lease_watch)
        error = sto_writer_subscribe(s);
    if (error) {
        pgn_log(PGN_ERR, "subscribing failed: %s", pgn_error_info(error)->text);
        return error;
    }
    if (s->store->ops->lease_watch)
        sto_writer_start(s);
    if (pgn_bus_connected(s->svc->bus))
        sto_announce(s);
    pgn_log(PGN_INFO, "store %s is open, commit %llu, epoch %s", s->store->ops->name,
            (unsigned long long)s->store->ops->last_commit(s->store), s->store->epoch);
    pgn_svc_ready(s->svc, true);
    return 0;
}

int sto_service_init(struct pgn_svc *svc)
{
    struct sto_service *s = pgn_calloc(1, sizeof *s);

    s->svc = svc;
    svc->state = s;
    faults_read(&s->faults);
    if (sto_store_remote(svc->config)) {
        sto_opening_start(s);
        return 0;
    }
    int error = store_open(s);
    if (!error)
        return sto_service_begin(s);
    svc->state = NULL;
    free(s);
    return error;
}

/* ---- end ---- */

void sto_drain_check(struct sto_service *s)
{
    if (s->draining && !s->commits && !sto_opening_busy(s))
        pgn_svc_drained(s->svc);
    else if (s->draining && s->commits && sto_commit_lane_idle(s->commits) && sto_dir_lane_idle(s->dir) && s->reads_running == 0)
        pgn_svc_drained(s->svc);
}

void sto_service_drain(struct pgn_svc *svc)
{
    struct sto_service *s = svc->state;

    unsubscribe(s);
    sto_writer_stop(s);
    s->draining = true;
    sto_drain_check(s);
}

void sto_service_fini(struct pgn_svc *svc)
{
    struct sto_service *s = svc->state;

    if (!s)
        return;
    unsubscribe(s);
    s->draining = false;
    sto_opening_free(s);
    sto_writer_stop(s);
    pgn_timer_stop(&s->doubt);
    sto_commit_lane_free(&s->commits);
    sto_dir_lane_free(&s->dir);
    pgn_workers_free(&s->readers);
    pgn_workers_free(&s->admin);
    if (s->store)
        s->store->ops->close(s->store);
    pgn_mailbox_free(&s->news);
    free(s);
    svc->state = NULL;
}

void sto_service_load(struct pgn_svc *svc, uint64_t *ret_connections, uint32_t *ret_queue)
{
    const struct sto_service *s = svc->state;

    *ret_connections = 0;
    *ret_queue = s->commits ? (uint32_t)sto_commit_lane_waiting(s->commits) : 0;
}
