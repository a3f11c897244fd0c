/*
 * The hot functions, one after the other, for counting their instructions: a figure that does not depend on how busy the machine is.
 * Run by tests/bench/instructions.py under callgrind; prints name and calls of each, callgrind dumps the count of each part.
 * Without valgrind it just runs them (hot --times N gives nanoseconds a call, for a look).
 */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/proto/json_map.h"
#include "common/proto/pb.h"
#include "services/gateway/gw_frame.h"
#include "services/gateway/gw_mqtt_encode.h"
#include "services/gateway/gw_mqtt_packet.h"
#include "services/gateway/gw_part.h"
#include "services/gateway/gw_ws.h"
#include "services/message/msg_batch.h"
#include "services/storage/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

enum { CALLS = 200, BATCH = 64, SOCKETS = 50, LIMIT = 65536, COMMITS = 20 };

static struct pgn_arena *arena;
static char client_id[] = "01JD3Z6F8Q0000000000000000", conv[] = "d:alice:bob", alice[] = "alice", bob[] = "bob", device[] = "web-7f3a";
static char text[] =
    "See you in room 12 after lunch, and bring the drawings please. \xe8\xaf\xb7\xe5\xb8\xa6\xe4\xb8\x8a\xe5\x9b\xbe\xe7\xba\xb8";
static const char send_json[] =
    "{\"id\":17,\"send\":{\"to\":{\"user\":\"bob\"},\"client_id\":\"01JD3Z6F8Q0000000000000000\",\"kind\":\"text\","
    "\"body\":{\"text\":\"See you in room 12 after lunch, and bring the drawings please.\"}}}";

static void die(const char *what)
{
    fprintf(stderr, "hot: %s\n", what);
    exit(1);
}

/* ---- what is worked on ---- */

static Pigeon__Body body = PIGEON__BODY__INIT;
static Pigeon__Message message = PIGEON__MESSAGE__INIT;
static Pigeon__ServerFrame server_frame = PIGEON__SERVER_FRAME__INIT;
static struct pgn_buf frame_bytes, send_pb, publish_bytes, out;

static void make_inputs(void)
{
    static char message_id[] = "01JD3Z6F8Q0000000000000001";
    static const uint8_t mask[4] = {0x11, 0x22, 0x33, 0x44};
    char problem[128];
    ProtobufCMessage *client;
    body.text = text;
    message.conv = conv;
    message.seq = 4711;
    message.message_id = message_id;
    message.from = alice;
    message.device = device;
    message.client_id = client_id;
    message.sent_at = 1763712000000;
    message.kind = PIGEON__KIND__text;
    message.body = &body;
    server_frame.what_case = PIGEON__SERVER_FRAME__WHAT_MESSAGE;
    server_frame.message = &message;
    size_t len = sizeof send_json - 1;
    pgn_buf_append_byte(&frame_bytes, 0x81);
    pgn_buf_append_byte(&frame_bytes, 0x80 | 126);
    pgn_buf_append_byte(&frame_bytes, (uint8_t)(len >> 8));
    pgn_buf_append_byte(&frame_bytes, (uint8_t)len);
    pgn_buf_append(&frame_bytes, mask, sizeof mask);
    for (size_t i = 0; i < len; i++)
        pgn_buf_append_byte(&frame_bytes, (uint8_t)((uint8_t)send_json[i] ^ mask[i % 4]));
    if (pgn_json_decode(send_json, len, &pigeon__client_frame__descriptor, arena, &client, problem, sizeof problem) != 0)
        die(problem);
    pgn_pb_pack(client, &send_pb);
    struct gw_mqtt_out p = {.topic = {"u/bob", 5}, .payload = {text, sizeof text - 1}, .qos = 1, .id = 7};
    (void)gw_mqtt_write_publish(&publish_bytes, GW_MQTT_5, &p);
    pgn_arena_reset(arena);
}

/* ---- one call of each ---- */

static void json_decode_send(void)
{
    char problem[128];
    ProtobufCMessage *m;
    if (pgn_json_decode(send_json, sizeof send_json - 1, &pigeon__client_frame__descriptor, arena, &m, problem, sizeof problem) != 0)
        die(problem);
    pgn_arena_reset(arena);
}

static void json_encode_message(void)
{
    pgn_buf_clear(&out);
    pgn_json_encode(&server_frame.base, &out);
}

static void pb_decode_send(void)
{
    if (!PGN_PB_UNPACK(Pigeon__ClientFrame, pigeon__client_frame, arena, send_pb.data, send_pb.len))
        die("pb");
    pgn_arena_reset(arena);
}

static void pb_encode_message(void)
{
    pgn_buf_clear(&out);
    pgn_pb_pack(&server_frame, &out);
}

static void ws_read_frame(void)
{
    uint8_t copy[1024], *at = copy;
    struct gw_ws ws = {NULL};
    struct gw_ws_message m;
    memcpy(copy, frame_bytes.data, frame_bytes.len); /* it is unmasked in place */
    if (gw_ws_next(&ws, &at, copy + frame_bytes.len, LIMIT, &m) != GW_WS_MESSAGE)
        die("ws");
}

/* A message to many sockets: encoded once, queued and taken off by each. */
static void frame_share_50(void)
{
    struct gw_shared shared = {.source = &server_frame};
    for (int i = 0; i < SOCKETS; i++) {
        struct gw_outq *q = NULL;
        struct iovec iov[4];
        struct gw_frame *f = gw_shared_get(&shared, GW_JSON);
        gw_outq_push(&q, f, 1000);
        if (gw_outq_iov(q, iov, 4) != 1)
            die("outq");
        gw_outq_sent(&q, f->len, 1000);
    }
    gw_shared_release(&shared);
}

static void mqtt_read_publish(void)
{
    struct gw_mqtt_stream s = {NULL};
    struct gw_mqtt_packet p;
    struct gw_mqtt_publish publish;
    uint8_t *at = (uint8_t *)publish_bytes.data;
    if (gw_mqtt_next(&s, &at, at + publish_bytes.len, LIMIT, &p) != GW_MQTT_PACKET ||
        gw_mqtt_read_publish(&p, GW_MQTT_5, &publish) != GW_MQTT_SUCCESS)
        die("mqtt");
}

static void mqtt_write_publish(void)
{
    struct gw_mqtt_out p = {.topic = {"inbox/u/alice", 13}, .payload = {text, sizeof text - 1}, .qos = 1, .id = 7};
    pgn_buf_clear(&out);
    gw_mqtt_patch_id(out.data, gw_mqtt_write_publish(&out, GW_MQTT_3, &p), 9);
}

/* ---- a partition's batch ---- */

static struct pgn_buf batch_bytes;
static int part_publish(void *ctx, const struct pgn_buf *batch)
{
    (void)ctx;
    pgn_buf_clear(&batch_bytes);
    pgn_buf_append(&batch_bytes, batch->data, batch->len);
    return 0;
}
static void part_answer_take(void *ctx, struct gw_item *item, int error, const char *why, uint64_t retry_after_ms,
                             const Pigeon__ItemResult *r)
{
    (void)ctx, (void)error, (void)why, (void)retry_after_ms, (void)r;
    free(item);
}
static void part_resent(void *ctx, size_t items)
{
    (void)ctx, (void)items;
}

/* 64 sends into a partition, published as one batch, answered. */
static void part_batch_64(void)
{
    static const struct gw_part_ops ops = {
        .publish = part_publish, .answer_take = part_answer_take, .resent = part_resent, .resend_ms = 2000};
    static struct pgn_buf item_bytes;
    Pigeon__BatchItem item = PIGEON__BATCH_ITEM__INIT;
    Pigeon__ItemResult r = PIGEON__ITEM_RESULT__INIT;
    struct gw_part part;
    gw_part_init(&part, 1, &ops);
    item.user = alice;
    item.device = device;
    Pigeon__ClientFrame *f = PGN_PB_UNPACK(Pigeon__ClientFrame, pigeon__client_frame, arena, send_pb.data, send_pb.len);
    item.what_case = PIGEON__BATCH_ITEM__WHAT_SEND;
    item.send = f->send;
    pgn_buf_clear(&item_bytes);
    pgn_pb_pack(&item, &item_bytes);
    for (int i = 0; i < BATCH; i++) {
        struct gw_item *one = gw_item_new(item_bytes.len);
        memcpy(one->data, item_bytes.data, item_bytes.len);
        one->deadline_ms = 100000;
        if (gw_part_add(&part, one) != 0)
            die("part");
    }
    (void)gw_part_flush(&part, 1000);
    for (uint32_t i = 0; i < BATCH; i++) {
        r.index = i;
        gw_part_result(&part, part.batch, &r, 1001);
    }
    gw_part_release(&part);
    pgn_arena_reset(arena);
}

/* The message service takes the batch of part_batch_64 apart and checks each item's form. */
static void message_prepare_64(void)
{
    static const struct msg_batch_limits limits = {16384};
    struct msg_batch b = {.arena = arena};
    if (!msg_batch_prepare(&b, batch_bytes.data, batch_bytes.len, &limits) || b.count != BATCH)
        die("batch");
    msg_batch_release(&b);
    pgn_arena_reset(arena);
}

/* ---- the store: rules of the log without an engine below ---- */

static struct sto_store *store;
static Pigeon__CommitItem items[BATCH], *item_ptrs[BATCH];
static Pigeon__Append appends[BATCH];
static char ids[BATCH][32];

static void make_store(void)
{
    static uint32_t subjects[] = {0, 1};
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserBatch users = PIGEON__USER_BATCH__INIT;
    Pigeon__User people[2] = {PIGEON__USER__INIT, PIGEON__USER__INIT}, *list[2] = {&people[0], &people[1]};
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    struct sto_store_options options;
    struct sto_effects effects;
    struct pgn_buf problem = {0};
    sto_store_options_default(&options);
    if (sto_memory_open(&options, &store, &problem) != 0)
        die(pgn_buf_cstr(&problem));
    people[0].user = alice;
    people[1].user = bob;
    users.users = list;
    users.n_users = 2;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USERS_IMPORT;
    request.users_import = &users;
    sto_effects_init(&effects, arena);
    if (store->ops->dir_begin(store) != 0 || store->ops->dir_request(store, &request, arena, &reply, &effects) != 0 ||
        store->ops->dir_end(store) != 0)
        die("users");
    for (size_t i = 0; i < BATCH; i++) {
        pigeon__commit_item__init(&items[i]);
        pigeon__append__init(&appends[i]);
        appends[i].body = &body;
        appends[i].kind = PIGEON__KIND__text;
        appends[i].create_direct = true;
        appends[i].client_id = ids[i];
        items[i].conv = conv;
        items[i].user = alice;
        items[i].device = device;
        items[i].index = (uint32_t)i;
        items[i].what_case = PIGEON__COMMIT_ITEM__WHAT_APPEND;
        items[i].append = &appends[i];
        items[i].subjects = subjects;
        items[i].n_subjects = 2;
        item_ptrs[i] = &items[i];
    }
}

static void store_commit_64(void)
{
    static char one[] = "user.alice", two[] = "user.bob", *subjects[] = {one, two};
    static Pigeon__ItemResult results[BATCH];
    static unsigned number;
    Pigeon__CommitBatch batch = PIGEON__COMMIT_BATCH__INIT;
    struct sto_effects effects;
    struct sto_commit c = {&batch, results};
    for (size_t i = 0; i < BATCH; i++)
        snprintf(ids[i], sizeof ids[i], "m%09u", number++);
    batch.items = item_ptrs;
    batch.n_items = BATCH;
    batch.subjects = subjects;
    batch.n_subjects = 2;
    sto_effects_init(&effects, arena);
    if (store->ops->commit(store, &c, 1, &effects, NULL, NULL) != 0 || effects.messages != BATCH)
        die("commit");
    pgn_arena_reset(arena);
}

/* ---- */

static const struct hot {
    const char *name;
    void (*call)(void);
    int calls;
} hots[] = {
    {"json_decode_send", json_decode_send, CALLS},   {"json_encode_message", json_encode_message, CALLS},
    {"pb_decode_send", pb_decode_send, CALLS},       {"pb_encode_message", pb_encode_message, CALLS},
    {"ws_read_frame", ws_read_frame, CALLS},         {"frame_share_50", frame_share_50, CALLS},
    {"mqtt_read_publish", mqtt_read_publish, CALLS}, {"mqtt_write_publish", mqtt_write_publish, CALLS},
    {"part_batch_64", part_batch_64, COMMITS},       {"message_prepare_64", message_prepare_64, COMMITS},
    {"store_commit_64", store_commit_64, COMMITS},
};

int main(int argc, char **argv)
{
    int times = argc == 3 && !strcmp(argv[1], "--times") ? atoi(argv[2]) : 1;
    arena = pgn_arena_new(1u << 20);
    make_inputs();
    make_store();
    for (size_t i = 0; i < sizeof hots / sizeof *hots; i++) {
        hots[i].call(); /* what is made once is made */
        int calls = hots[i].calls * times;
        uint64_t from = pgn_mono_us();
        CALLGRIND_ZERO_STATS;
        for (int k = 0; k < calls; k++)
            hots[i].call();
        CALLGRIND_DUMP_STATS_AT(hots[i].name);
        printf("%s %d %.0f\n", hots[i].name, calls, (double)(pgn_mono_us() - from) * 1000 / calls);
    }
    store->ops->close(store);
    return 0;
}
