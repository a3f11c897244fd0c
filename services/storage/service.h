/*
 * The storage service: subjects of the bus in front of a store. Loop: decoding, queues, publishing. Threads: one committer,
 * one for the directory, readers, one for administration (backups take long). Nothing here knows how a store stores.
 */
#ifndef STO_SERVICE_H
#define STO_SERVICE_H

#include "common/bus/bus.h"
#include "common/io/loop.h"
#include "common/io/worker.h"
#include "common/svc/svc.h"
#include "services/storage/store.h"

struct sto_commit_lane;
struct sto_dir_lane;
struct sto_opening;

struct sto_service {
    struct pgn_svc *svc;
    struct sto_store *store; /* NULL until it is open */
    struct sto_faults faults;
    struct sto_opening *opening;
    struct pgn_mailbox *news; /* of the writer's lease */
    bool writer;              /* takes commits from the bus */
    struct pgn_timer doubt;   /* sto_doubt's */
    struct sto_commit_lane *commits;
    struct sto_dir_lane *dir;
    struct pgn_workers *readers, *admin;
    struct pgn_bus_sub *commit_sub, *subs[7];
    size_t reads_running; /* jobs of readers and admin that are not answered yet */
    bool draining;
};

int sto_service_init(struct pgn_svc *svc);
void sto_service_drain(struct pgn_svc *svc);
void sto_service_fini(struct pgn_svc *svc);
void sto_service_load(struct pgn_svc *svc, uint64_t *ret_connections, uint32_t *ret_queue);
void sto_service_bus_event(struct pgn_svc *svc, enum pgn_bus_event event);

/* Answers a request with a Reply that is just an error. */
void sto_answer_error(struct sto_service *s, const char *reply_subject, int error, uint64_t retry_after_ms);
void sto_answer(struct sto_service *s, const char *reply_subject, const struct pgn_buf *data);
/* About how large an answer may become on this bus. */
size_t sto_answer_budget(const struct sto_service *s);
void sto_drain_check(struct sto_service *s);
/* Publishes StoreUp: what was published, or should have been, may be lost. */
void sto_announce(struct sto_service *s);
/* An event was not taken by the bus: announces within a second, and again until the bus takes that. */
void sto_doubt(struct sto_service *s);

void sto_store_look(struct sto_store *store); /* logs what opening set aside, and checks the audit log */
/* The store is open: lanes, readers, subscriptions, ready. */
int sto_service_begin(struct sto_service *s) PGN_MUST_USE;

/* service_start.c: a store on other machines may be away at the start: opened beside the loop, again and again. */
void sto_opening_start(struct sto_service *s);
bool sto_opening_busy(const struct sto_service *s);
void sto_opening_free(struct sto_service *s); /* waits */
/* The writer's lease of a store that several services share. */
void sto_writer_start(struct sto_service *s);
void sto_writer_stop(struct sto_service *s);
int sto_writer_subscribe(struct sto_service *s); /* service.c */

/* commit_lane.c: CommitBatches. */
struct sto_commit_lane *sto_commit_lane_new(struct sto_service *s);
void sto_commit_lane_free(struct sto_commit_lane **lane);
void sto_commit_lane_take(struct sto_commit_lane *lane, const struct pgn_bus_msg *msg);
/* Borrows release and reply; answered by a Reply. In order with the batches that came before. */
void sto_commit_lane_release(struct sto_commit_lane *lane, const Pigeon__MqttRelease *release, const char *reply);
bool sto_commit_lane_idle(const struct sto_commit_lane *lane);
bool sto_commit_lane_failed(const struct sto_commit_lane *lane);
size_t sto_commit_lane_waiting(const struct sto_commit_lane *lane); /* items */

/* dir_lane.c: requests on the directory, sessions and MQTT sessions, many to a transaction. */
struct sto_dir_lane *sto_dir_lane_new(struct sto_service *s);
void sto_dir_lane_free(struct sto_dir_lane **lane);
enum sto_ask_kind { STO_ASK_DIR, STO_ASK_SEEN, STO_ASK_SESSION, STO_ASK_CHECK, STO_ASK_MQTT }; /* by subject: what may be asked there */
void sto_dir_lane_take(struct sto_dir_lane *lane, const struct pgn_bus_msg *msg, enum sto_ask_kind kind);
bool sto_dir_lane_idle(const struct sto_dir_lane *lane);

/* read_lane.c: conversation and administration requests. */
void sto_read_take(struct sto_service *s, const struct pgn_bus_msg *msg);
void sto_admin_take(struct sto_service *s, const struct pgn_bus_msg *msg);

#endif
