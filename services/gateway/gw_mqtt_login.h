/*
 * From CONNECT to CONNACK: user name and password or token, the device, the session that storage keeps. Loop's thread.
 */
#ifndef GW_MQTT_LOGIN_H
#define GW_MQTT_LOGIN_H

#include "services/gateway/gw_mqtt.h"

/* What is known between CONNECT and CONNACK. */
struct gw_mqtt_login {
    bool assigned;                   /* the client id was empty */
    bool present;                    /* storage had a session */
    uint64_t cursor;                 /* its */
    struct pgn_buf session;          /* packed Session, while storage is asked for the MQTT session */
    uint8_t hash[PGN_HASH_BYTES];    /* of the token */
    char user[PGN_USER_MAX + 1];     /* "": not named */
    char device[PGN_DEVICE_MAX + 1]; /* from the client id */
};
void gw_mqtt_login_free(struct gw_mqtt_login **l);

/* A CONNECT in state GW_HELLO; what is wrong with it is answered here. */
enum gw_mqtt_reason gw_mqtt_on_connect(struct gw_conn *c, const struct gw_mqtt_packet *p);
/* The token is good (state GW_CHECK): goes on to gw_hello_accept, or refuses. */
void gw_mqtt_checked(struct gw_conn *c, const uint8_t hash[PGN_HASH_BYTES], const Pigeon__Session *s);
/* The session lives: CONNACK, and what it missed. */
void gw_mqtt_accepted(struct gw_conn *c);

/* No session: CONNACK with the reason where the version has one for it, then the end. */
void gw_mqtt_refuse(struct gw_conn *c, int error, const char *text);
void gw_mqtt_refuse_reason(struct gw_conn *c, enum gw_mqtt_reason reason, const char *text);

#endif
