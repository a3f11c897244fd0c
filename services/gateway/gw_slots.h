/* Giving slots to connections and taking them back; only gw_conn.c calls these. */
#ifndef GW_SLOTS_H
#define GW_SLOTS_H

struct gateway;
struct gw_conn;

void gw_slot_take(struct gateway *gw, struct gw_conn *c);
void gw_slot_give(struct gateway *gw, struct gw_conn *c);

#endif
