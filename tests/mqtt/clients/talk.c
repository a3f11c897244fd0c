/* A conversation by paho's C library: see talk.py, whose arguments and lines these are. Connects again by itself when it was cut off. */
#include <MQTTClient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { URL = 1, VERSION, USER, PASSWORD, CLIENT_ID, CLEAN, FILTER, TOPIC, COUNT, CA };
enum { WAIT_MS = 20000 };

static char **arg;
static int args;

static void fail(const char *what, int code)
{
    printf("error %s %d\n", what, code);
    exit(1);
}

static int is(int at, const char *text)
{
    return !strcmp(arg[at], text);
}

static int connect_once(MQTTClient client, int *ret_present)
{
    int v5 = is(VERSION, "5");
    MQTTClient_connectOptions three = MQTTClient_connectOptions_initializer, five = MQTTClient_connectOptions_initializer5;
    MQTTClient_connectOptions o = v5 ? five : three;
    MQTTClient_SSLOptions ssl = MQTTClient_SSLOptions_initializer;
    if (!strncmp(arg[URL], "ws", 2)) {
        MQTTClient_connectOptions ws3 = MQTTClient_connectOptions_initializer_ws, ws5 = MQTTClient_connectOptions_initializer5_ws;
        o = v5 ? ws5 : ws3;
    }
    o.username = arg[USER];
    o.password = arg[PASSWORD];
    o.keepAliveInterval = 30;
    o.MQTTVersion = v5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    if (args > CA) {
        ssl.trustStore = arg[CA];
        ssl.enableServerCertAuth = 1;
        o.ssl = &ssl;
    }
    if (!v5) {
        o.cleansession = is(CLEAN, "1");
        int code = MQTTClient_connect(client, &o);
        *ret_present = o.returned.sessionPresent;
        return code;
    }
    o.cleanstart = is(CLEAN, "1");
    MQTTProperties props = MQTTProperties_initializer;
    MQTTProperty expiry = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, .value.integer4 = is(CLEAN, "1") ? 0 : 600};
    MQTTProperties_add(&props, &expiry);
    MQTTResponse r = MQTTClient_connect5(client, &o, &props, NULL);
    *ret_present = o.returned.sessionPresent;
    int code = (int)r.reasonCode;
    MQTTResponse_free(r);
    MQTTProperties_free(&props);
    return code;
}

static void subscribe(MQTTClient client)
{
    int granted;
    if (is(VERSION, "5")) {
        MQTTResponse r = MQTTClient_subscribe5(client, arg[FILTER], 1, NULL, NULL);
        granted = (int)r.reasonCode;
        MQTTResponse_free(r);
    } else {
        granted = MQTTClient_subscribe(client, arg[FILTER], 1) == MQTTCLIENT_SUCCESS ? 1 : 128;
    }
    printf("granted %d\n", granted);
}

static void publish(MQTTClient client, int qos)
{
    char text[] = {'q', (char)('0' + qos), 0};
    MQTTClient_deliveryToken token = 0;
    int code;
    if (is(VERSION, "5")) {
        MQTTResponse r = MQTTClient_publish5(client, arg[TOPIC], 2, text, qos, 0, NULL, &token);
        code = (int)r.reasonCode;
        MQTTResponse_free(r);
    } else {
        code = MQTTClient_publish(client, arg[TOPIC], 2, text, qos, 0, &token);
    }
    if (code == MQTTCLIENT_SUCCESS && qos)
        code = MQTTClient_waitForCompletion(client, token, WAIT_MS);
    if (code != MQTTCLIENT_SUCCESS)
        fail("publish", code);
    printf("published %d\n", qos);
}

/* Takes one message, or finds out that the connection is gone and makes another. Whether it was a message. */
static int take(MQTTClient client)
{
    char *topic = NULL;
    int len = 0, present;
    MQTTClient_message *m = NULL;
    int code = MQTTClient_receive(client, &topic, &len, &m, 1000);
    if (m) {
        printf("got %s %.*s\n", topic, m->payloadlen, (char *)m->payload);
        MQTTClient_freeMessage(&m);
        MQTTClient_free(topic);
        return 1;
    }
    if (code != MQTTCLIENT_SUCCESS || !MQTTClient_isConnected(client)) {
        if (connect_once(client, &present) == 0)
            printf("connected %d\n", present);
        else
            usleep(100000); /* of a client that tries again, not of a test */
    }
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    args = argc;
    arg = argv;
    if (argc < CA)
        fail("arguments", argc);
    MQTTClient client;
    MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
    create.MQTTVersion = is(VERSION, "5") ? MQTTVERSION_5 : MQTTVERSION_DEFAULT;
    int present, code = MQTTClient_createWithOptions(&client, arg[URL], arg[CLIENT_ID], MQTTCLIENT_PERSISTENCE_NONE, NULL, &create);
    if (code || (code = connect_once(client, &present)) != 0)
        fail("connect", code);
    printf("connected %d\n", present);
    if (!is(FILTER, "-"))
        subscribe(client);
    for (int qos = 0; qos < 3 && !is(TOPIC, "-"); qos++)
        publish(client, qos);
    for (int got = 0; got < atoi(arg[COUNT]);)
        got += take(client);
    MQTTClient_disconnect(client, 1000);
    MQTTClient_destroy(&client);
    printf("closed\n");
    return 0;
}
