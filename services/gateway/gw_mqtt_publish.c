/* Publishes of clients; see gw_mqtt_publish.h. */
#include "services/gateway/gw_mqtt_publish.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/utf8.h"
#include "common/proto/json_map.h"
#include "common/proto/rpc.h"
#include "common/proto/subjects.h"
#include "services/gateway/gw_batch.h"
#include "services/gateway/gw_check.h"
#include "services/gateway/gw_limits.h"
#include "services/gateway/gw_user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RELEASE_TIMEOUT_MS = 10000, JSON_PROBLEM = 160 };

/* ---- what a publish says ---- */

static char *terminated(struct gateway *gw, struct gw_mqtt_str s)
{
    char *copy = pgn_arena_alloc(gw->arena, s.len + 1);
    if (s.len)
        memcpy(copy, s.data, s.len);
    copy[s.len] = 0;
    return copy;
}

/* u/<user>, c/<conv> */
static bool target_of(struct gateway *gw, struct gw_mqtt_str topic, Pigeon__Target *to)
{
    if (topic.len < 3 || topic.len > 2 + PGN_CONV_MAX || topic.data[1] != '/')
        return false;
    char *name = terminated(gw, (struct gw_mqtt_str){topic.data + 2, topic.len - 2});
    if (topic.data[0] == 'u' && pgn_user_valid(name)) {
        to->to_case = PIGEON__TARGET__TO_USER;
        to->user = name;
        return true;
    }
    to->to_case = PIGEON__TARGET__TO_CONV;
    to->conv = name;
    return topic.data[0] == 'c' && pgn_conv_valid(name);
}

static bool is(struct gw_mqtt_str s, const char *word)
{
    return s.data && s.len == strlen(word) && memcmp(s.data, word, s.len) == 0;
}

/* The kind of a body that is not only text: told by the user property `kind`, else by the part that is there. */
static Pigeon__Kind kind_of(struct gateway *gw, const Pigeon__Body *b, const struct gw_mqtt_props *props)
{
    struct gw_mqtt_str name;
    if (gw_mqtt_user_find(props, "kind", &name)) {
        const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value_by_name(&pigeon__kind__descriptor, terminated(gw, name));
        return v ? (Pigeon__Kind)v->value : PIGEON__KIND__operation; /* which gw_check refuses */
    }
    return b->file       ? PIGEON__KIND__file
           : b->location ? PIGEON__KIND__location
           : b->card     ? PIGEON__KIND__card
           : b->custom   ? PIGEON__KIND__custom
           : b->command  ? PIGEON__KIND__command
                         : PIGEON__KIND__text;
}

static const char *body_from_json(struct gateway *gw, struct gw_mqtt_str payload, const struct gw_mqtt_props *props,
                                  struct gw_mqtt_draft *d)
{
    ProtobufCMessage *m = NULL;
    char problem[JSON_PROBLEM];
    if (pgn_json_decode(payload.data, payload.len, &pigeon__body__descriptor, gw->arena, &m, problem, sizeof problem) != 0)
        return terminated(gw, (struct gw_mqtt_str){problem, strnlen(problem, sizeof problem)});
    d->send.body = (Pigeon__Body *)m;
    d->send.kind = kind_of(gw, d->send.body, props);
    return NULL;
}

static const char *body_from_text(struct gateway *gw, struct gw_mqtt_str payload, struct gw_mqtt_draft *d)
{
    if (!payload.len)
        return "an empty payload";
    if (memchr(payload.data, 0, payload.len) || !pgn_utf8_valid(payload.data, payload.len))
        return "the payload is not UTF-8 text (content type application/json: a body)";
    d->body.text = terminated(gw, payload);
    d->send.body = &d->body;
    d->send.kind = PIGEON__KIND__text;
    return NULL;
}

enum gw_mqtt_reason gw_mqtt_draft(struct gw_conn *c, struct gw_mqtt_str topic, struct gw_mqtt_str payload,
                                  const struct gw_mqtt_props *props, struct gw_mqtt_draft *d, const char **ret_problem)
{
    pigeon__client_frame__init(&d->frame);
    pigeon__send__init(&d->send);
    pigeon__target__init(&d->to);
    pigeon__body__init(&d->body);
    *ret_problem = "publish to u/<user> or c/<conversation>";
    if (!target_of(c->gw, topic, &d->to))
        return GW_MQTT_BAD_TOPIC;
    *ret_problem =
        is(props->content_type, "application/json") ? body_from_json(c->gw, payload, props, d) : body_from_text(c->gw, payload, d);
    if (*ret_problem)
        return GW_MQTT_BAD_PAYLOAD;
    d->send.to = &d->to;
    d->frame.op_case = PIGEON__CLIENT_FRAME__OP_SEND;
    d->frame.send = &d->send;
    return GW_MQTT_SUCCESS;
}

/* ---- answers ---- */

static enum gw_mqtt_reason reason_of(int error)
{
    switch (error) {
    case PGN_E_FORBIDDEN:
    case PGN_E_NOT_FOUND: /* as the rules answer strangers: it may be there */
        return GW_MQTT_NOT_AUTHORIZED;
    case PGN_E_RATE_LIMITED:
    case PGN_E_OVERLOADED:
    case PGN_E_FULL:
        return GW_MQTT_QUOTA;
    case PGN_E_TOO_LARGE:
    case PGN_E_INVALID:
        return GW_MQTT_BAD_PAYLOAD;
    default:
        return GW_MQTT_IMPLEMENTATION;
    }
}

static void ack(struct gw_conn *c, enum gw_mqtt_type type, uint16_t id, enum gw_mqtt_reason reason, const char *text)
{
    struct gw_mqtt *m = c->mqtt;
    struct pgn_buf *b = gw_mqtt_scratch();
    gw_mqtt_write_ack(b, m->version, type, id, reason, gw_mqtt_str_of(m->no_reasons ? NULL : text));
    if (!gw_mqtt_fits(m, b->len)) { /* without the text it does: it is smaller than CONNACK */
        pgn_buf_clear(b);
        gw_mqtt_write_ack(b, m->version, type, id, reason, gw_mqtt_str_of(NULL));
    }
    (void)gw_mqtt_send(c, b, false);
}

static enum gw_mqtt_type ack_type(uint8_t qos)
{
    return qos == 2 ? GW_MQTT_PUBREC : GW_MQTT_PUBACK;
}

/* Nothing was stored. 3.1.1 has no way to say so but the end: what is not acknowledged is not stored. */
static void refuse(struct gw_conn *c, uint8_t qos, uint16_t id, enum gw_mqtt_reason reason, const char *text)
{
    gw_count(GW_M_MQTT_REFUSED, 1);
    if (qos && c->mqtt->version == GW_MQTT_5)
        ack(c, ack_type(qos), id, reason, text);
    else
        gw_mqtt_close(c, reason, text);
}

static uint8_t qos_of(uint64_t id)
{
    return id >> 32 == GW_MQTT_ASK_QOS1 ? 1 : 2;
}

void gw_mqtt_published(struct gw_conn *c, uint64_t id)
{
    ack(c, ack_type(qos_of(id)), (uint16_t)id, GW_MQTT_SUCCESS, NULL);
}

/* Neither stored nor not: the client repeats it on a new connection. */
static void repeat_later(struct gw_conn *c)
{
    gw_mqtt_close(c, GW_MQTT_BUSY, "it may have been stored: connect again and repeat it");
}

void gw_mqtt_not_published(struct gw_conn *c, uint64_t id, int error, const char *text)
{
    const struct pgn_error_info *info = pgn_error_info(error);
    if (error == PGN_E_UNCERTAIN || error == PGN_E_TIMEOUT || (info->retry && id >> 32 == GW_MQTT_ASK_QOS2_AGAIN))
        repeat_later(c);
    else
        refuse(c, qos_of(id), (uint16_t)id, reason_of(error), text && *text ? text : info->text);
}

/* ---- PUBLISH ---- */

/* An alias stands for a topic, or is given one. False: there is no such alias. */
static bool resolve(struct gw_conn *c, struct gw_mqtt_publish *p)
{
    uint16_t alias = p->props.alias;
    if (!alias)
        return p->topic.len > 0;
    if (alias > GW_MQTT_ALIAS_MAX)
        return false;
    struct gw_mqtt_more *more = gw_mqtt_more(c->mqtt);
    if (!more->aliases)
        more->aliases = pgn_calloc(GW_MQTT_ALIAS_MAX, sizeof *more->aliases);
    char **name = &more->aliases[alias - 1];
    if (!p->topic.len) {
        p->topic = gw_mqtt_str_of(*name);
        return *name != NULL;
    }
    free(*name);
    *name = pgn_malloc(p->topic.len + 1);
    memcpy(*name, p->topic.data, p->topic.len);
    (*name)[p->topic.len] = 0;
    return true;
}

static void qos2_key(const struct gw_mqtt *m, unsigned id, char key[PGN_CLIENT_ID_MAX + 1])
{
    snprintf(key, PGN_CLIENT_ID_MAX + 1, "mq2-%06x-%u", gw_mqtt_life(m), id);
}

/* The retry key: the client's own, or the packet id's while QoS 2 is under way, or a new one. False: not one. */
static bool key_of(const struct gw_mqtt *m, const struct gw_mqtt_publish *p, char key[PGN_CLIENT_ID_MAX + 1])
{
    struct gw_mqtt_str own;
    if (p->props.present && gw_mqtt_user_find(&p->props, "client_id", &own)) {
        if (own.len > PGN_CLIENT_ID_MAX)
            return false;
        memcpy(key, own.data, own.len);
        key[own.len] = 0;
        return strlen(key) == own.len && pgn_client_id_valid(key);
    }
    if (p->qos == 2)
        qos2_key(m, p->id, key);
    else
        pgn_ulid(pgn_wall_ms(), key);
    return true;
}

/*
 * Without having asked storage. What is repeated with QoS 2 may be stored already; PUBREC with an error would free its identifier, whose
 * key storage has, and the next message of that identifier would be taken for this one.
 */
static void refuse_for_now(struct gw_conn *c, const struct gw_mqtt_publish *p, const char *text)
{
    if (p->qos == 2 && p->dup)
        repeat_later(c);
    else if (p->qos) /* of QoS 0 the excess is dropped: at most once */
        refuse(c, p->qos, p->id, GW_MQTT_QUOTA, text);
}

/* Rates, load and form; false: refused. */
static bool may_send(struct gw_conn *c, const struct gw_mqtt_publish *p, const Pigeon__ClientFrame *f)
{
    const struct pgn_config *config = c->gw->config;
    struct gw_check_limits limits = {(size_t)config->limits_body_bytes, (size_t)config->limits_watch_users};
    char problem[GW_PROBLEM_BYTES];
    int e = gw_check_frame(f, &limits, problem);
    if (e) {
        refuse(c, p->qos, p->id, GW_MQTT_BAD_PAYLOAD, problem);
        return false;
    }
    if (gw_limits_message(c->user, pgn_loop_now_ms(c->gw->loop))) {
        gw_count(GW_M_RATE_LIMITED, 1);
        refuse_for_now(c, p, "too many messages: wait and retry");
        return false;
    }
    if (c->gw->load_level >= GW_LOAD_MESSAGES) {
        gw_count(GW_M_OVERLOADED, 1);
        refuse_for_now(c, p, "the server is busy: wait and retry");
        return false;
    }
    return true;
}

enum gw_mqtt_reason gw_mqtt_on_publish(struct gw_conn *c, const struct gw_mqtt_packet *packet)
{
    static const enum gw_mqtt_kind kinds[] = {GW_MQTT_ASK_QOS0, GW_MQTT_ASK_QOS1, GW_MQTT_ASK_QOS2};
    struct gw_mqtt *m = c->mqtt;
    struct gw_mqtt_publish p;
    struct gw_mqtt_draft d;
    const char *problem;
    char key[PGN_CLIENT_ID_MAX + 1];
    enum gw_mqtt_reason reason = gw_mqtt_read_publish(packet, m->version, &p);
    if (reason)
        return reason;
    if (p.retain && m->version == GW_MQTT_5)
        return GW_MQTT_NO_RETAIN; /* CONNACK said so */
    if (p.qos && m->version == GW_MQTT_5 && c->items_open >= GW_MQTT_RECEIVE_MAX)
        return GW_MQTT_RECEIVE_MAXIMUM;
    if (!resolve(c, &p))
        return p.props.alias ? GW_MQTT_BAD_ALIAS : GW_MQTT_PROTOCOL_ERROR;
    reason = gw_mqtt_draft(c, p.topic, p.payload, &p.props, &d, &problem);
    if (!reason && !key_of(m, &p, key)) {
        reason = GW_MQTT_BAD_PAYLOAD;
        problem = "client_id: 1-64 printable ASCII bytes without space";
    }
    if (reason) {
        refuse(c, p.qos, p.id, reason, problem);
        return GW_MQTT_SUCCESS;
    }
    d.send.client_id = key;
    d.frame.id = gw_mqtt_ask(p.qos == 2 && p.dup ? GW_MQTT_ASK_QOS2_AGAIN : kinds[p.qos], p.id);
    if (may_send(c, &p, &d.frame))
        gw_batch_take(c, &d.frame);
    return GW_MQTT_SUCCESS;
}

/* ---- PUBREL ---- */

struct release {
    struct gateway *gw;
    uint32_t slot, generation;
    uint16_t id;
};

static void on_released(void *ctx, const struct pgn_rpc_result *r)
{
    struct release *q = ctx;
    struct gw_conn *c = gw_conn_find(q->gw, q->slot, q->generation);
    if (c && c->state == GW_LIVE) {
        if (r->error) /* without PUBCOMP the client repeats PUBREL on its next connection */
            gw_mqtt_close(c, GW_MQTT_BUSY, "storage does not answer: connect again");
        else
            ack(c, GW_MQTT_PUBCOMP, q->id, GW_MQTT_SUCCESS, NULL);
    }
    free(q);
}

void gw_mqtt_release(struct gw_conn *c, uint16_t id)
{
    Pigeon__MqttRequest request = PIGEON__MQTT_REQUEST__INIT;
    Pigeon__MqttRelease release = PIGEON__MQTT_RELEASE__INIT;
    char key[PGN_CLIENT_ID_MAX + 1];
    qos2_key(c->mqtt, id, key);
    release.user = c->user->id;
    release.device = c->device;
    release.client_id = key;
    request.what_case = PIGEON__MQTT_REQUEST__WHAT_RELEASE;
    request.release = &release;
    struct release *q = pgn_malloc(sizeof *q);
    *q = (struct release){c->gw, c->slot, c->generation, id};
    pgn_rpc_call(c->gw->bus, PGN_SUBJ_STO_MQTT, &request, RELEASE_TIMEOUT_MS, PIGEON__REPLY__PAYLOAD__NOT_SET, NULL, on_released, q);
}
