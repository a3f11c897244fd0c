/*
 * The PUBLISH packets of one message: one for each of place (inbox/u, inbox/c), version and QoS, made when the first session needs it.
 * Loop's thread.
 */
#ifndef GW_MQTT_FORMS_H
#define GW_MQTT_FORMS_H

#include "common/proto/pb.h"
#include "services/gateway/gw_frame.h"
#include "services/gateway/gw_mqtt_encode.h"

#include <stdbool.h>

struct gw_mqtt_form {
    struct gw_frame *packet; /* as on TCP */
    uint32_t id_at;          /* where a copy gets its packet id; 0 with QoS 0 */
};
struct gw_mqtt_forms { /* zeroed: none made yet */
    struct gw_mqtt_form form[8];
};

/* Which one: inbox/c/<conv> or inbox/u/<from>. */
struct gw_mqtt_shape {
    bool in_conv;
    uint8_t version, qos;
    const uint32_t *ids; /* subscription identifiers: such a packet is not shared */
    size_t id_count;
};
/* Borrowed from forms. Only for shapes without identifiers. */
const struct gw_mqtt_form *gw_mqtt_form_get(struct gw_mqtt_forms *forms, const Pigeon__Message *message, const struct gw_mqtt_shape *shape);
void gw_mqtt_forms_release(struct gw_mqtt_forms *forms);
/* Appends the packet; returns where its packet id stands (0 with QoS 0). */
size_t gw_mqtt_write_message(struct pgn_buf *b, const Pigeon__Message *message, const struct gw_mqtt_shape *shape);
void gw_mqtt_write_presence(struct pgn_buf *b, const Pigeon__Presence *p, const struct gw_mqtt_shape *shape, bool retain); /* QoS 0 */

#endif
