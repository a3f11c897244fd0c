/* Messages as PUBLISH packets; see gw_mqtt_forms.h. */
#include "services/gateway/gw_mqtt_forms.h"

#include "common/base/id.h"
#include "common/proto/json_map.h"

#include <stdio.h>
#include <string.h>

enum { TOPIC_MAX = 16 + PGN_CONV_MAX, NUMBER_MAX = 24 };

static struct gw_mqtt_str str(const char *s)
{
    return (struct gw_mqtt_str){s, strlen(s)};
}

static struct gw_mqtt_str number(uint64_t v, char text[NUMBER_MAX])
{
    size_t at = NUMBER_MAX;
    do
        text[--at] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    return (struct gw_mqtt_str){&text[at], NUMBER_MAX - at};
}

static struct gw_mqtt_str topic_of(const char *first, const char *name, char text[TOPIC_MAX])
{
    size_t a = strlen(first), n = strnlen(name, PGN_CONV_MAX);
    memcpy(text, first, a);
    memcpy(text + a, name, n);
    return (struct gw_mqtt_str){text, a + n};
}

static const char *enum_name(const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, value);
    return v ? v->name : "";
}

/* The body: its text where it is a text, else all of it as JSON. True: JSON. */
static bool payload_of(const Pigeon__Message *m, struct gw_mqtt_str *ret)
{
    static struct pgn_buf json; /* of the one loop; keeps its memory */
    static const Pigeon__Body none = PIGEON__BODY__INIT;
    const Pigeon__Body *body = m->body ? m->body : &none;
    if (m->kind == PIGEON__KIND__text || m->kind == PIGEON__KIND__kind_unset) {
        *ret = str(body->text);
        return false;
    }
    pgn_buf_clear(&json);
    pgn_json_encode(&body->base, &json);
    *ret = (struct gw_mqtt_str){(const char *)json.data, json.len};
    return true;
}

size_t gw_mqtt_write_message(struct pgn_buf *b, const Pigeon__Message *m, const struct gw_mqtt_shape *shape)
{
    char topic[TOPIC_MAX], seq[NUMBER_MAX], sent_at[NUMBER_MAX];
    struct gw_mqtt_out out = {.qos = shape->qos, .payload_utf8 = true, .ids = shape->ids, .id_count = shape->id_count};
    out.topic = shape->in_conv ? topic_of("inbox/c/", m->conv, topic) : topic_of("inbox/u/", m->from, topic);
    if (payload_of(m, &out.payload))
        out.content_type = str("application/json");
    if (shape->version != GW_MQTT_5)
        return gw_mqtt_write_publish(b, shape->version, &out);
    const struct gw_mqtt_pair user[] = {{str("from"), str(m->from)},
                                        {str("conv"), str(m->conv)},
                                        {str("seq"), number(m->seq, seq)},
                                        {str("message_id"), str(m->message_id)},
                                        {str("sent_at"), number(m->sent_at, sent_at)},
                                        {str("kind"), str(enum_name(&pigeon__kind__descriptor, (int)m->kind))}};
    out.user = user;
    out.users = PGN_COUNT(user);
    return gw_mqtt_write_publish(b, shape->version, &out);
}

void gw_mqtt_write_presence(struct pgn_buf *b, const Pigeon__Presence *p, const struct gw_mqtt_shape *shape, bool retain)
{
    char topic[TOPIC_MAX], seen[NUMBER_MAX];
    const struct gw_mqtt_pair user[] = {{str("last_seen"), number(p->last_seen, seen)}, {str("text"), str(p->text)}};
    struct gw_mqtt_out out = {.retain = retain, .payload_utf8 = true, .ids = shape->ids, .id_count = shape->id_count};
    out.topic = topic_of("presence/", p->user, topic);
    out.payload = str(enum_name(&pigeon__state__descriptor, (int)p->state));
    out.user = user;
    out.users = PGN_COUNT(user);
    (void)gw_mqtt_write_publish(b, shape->version, &out);
}

const struct gw_mqtt_form *gw_mqtt_form_get(struct gw_mqtt_forms *forms, const Pigeon__Message *m, const struct gw_mqtt_shape *shape)
{
    static struct pgn_buf scratch; /* of the one loop; keeps its memory */
    size_t i = (shape->in_conv ? 4u : 0u) + (shape->version == GW_MQTT_5 ? 2u : 0u) + (shape->qos ? 1u : 0u);
    struct gw_mqtt_form *f = &forms->form[i];
    if (f->packet)
        return f;
    pgn_buf_clear(&scratch);
    f->id_at = (uint32_t)gw_mqtt_write_message(&scratch, m, shape);
    f->packet = gw_frame_raw(scratch.data, scratch.len);
    return f;
}

void gw_mqtt_forms_release(struct gw_mqtt_forms *forms)
{
    for (size_t i = 0; i < PGN_COUNT(forms->form); i++)
        gw_frame_unref(&forms->form[i].packet);
}
