/*
 * NATS subjects: their one home. Who may publish and subscribe what stands beside each; deploy/templates/nats.conf.in
 * follows it and a lint test compares the two. Who is asked may publish on _INBOX.<who asks>., and on nobody else's.
 */
#ifndef PGN_PROTO_SUBJECTS_H
#define PGN_PROTO_SUBJECTS_H

/* Requests and batches; queue groups have the service's name. */
#define PGN_SUBJ_BATCH       "pgn.msg.batch"   /* gateway, api, cli -> message: Batch; BatchResult from message and storage */
#define PGN_SUBJ_OP          "pgn.msg.op"      /* gateway, api, cli -> message: OpRequest; Reply */
#define PGN_SUBJ_COMMIT      "pgn.sto.commit"  /* message -> storage: CommitBatch; BatchResult */
#define PGN_SUBJ_STO_CONV    "pgn.sto.conv"    /* message -> storage: ConvRequest; Reply */
#define PGN_SUBJ_STO_SESSION "pgn.sto.session" /* api, cli -> storage: SessionRequest; Reply */
#define PGN_SUBJ_STO_CHECK   "pgn.sto.check"   /* gateway, api -> storage: SessionRequest, only check; Reply */
#define PGN_SUBJ_STO_MQTT    "pgn.sto.mqtt"    /* gateway -> storage: MqttRequest; Reply */
#define PGN_SUBJ_STO_DIR     "pgn.sto.dir"     /* api, cli -> storage: DirRequest; Reply */
#define PGN_SUBJ_STO_SEEN    "pgn.sto.seen"    /* presence -> storage: DirRequest, only users_get and seen; Reply */
#define PGN_SUBJ_STO_ADMIN   "pgn.sto.admin"   /* api, cli -> storage: AdminRequest; Reply */
#define PGN_SUBJ_LOGIN       "pgn.api.login"   /* gateway -> api: LoginRequest; Reply */
#define PGN_SUBJ_PRS_QUERY   "pgn.prs.query"   /* message -> presence: PresenceRequest; Reply */

/* Broadcasts. */
#define PGN_SUBJ_PRS_EVENTS "pgn.prs.events" /* gateway -> presence, gateway: PresenceEvents */
#define PGN_SUBJ_PRS_STATUS "pgn.prs.status" /* presence -> presence: PresenceStatuses */
#define PGN_SUBJ_GW_ALL     "pgn.gw.all"     /* presence -> gateways: GatewayControl */
#define PGN_SUBJ_STORE_UP   "pgn.up.store"   /* storage -> gateway, message: StoreUp */
#define PGN_SUBJ_POLICY     "pgn.policy"     /* storage -> message: PolicyChanged */
#define PGN_SUBJ_LOAD       "pgn.load"       /* every service -> cli, api: NodeLoad, each second */

/* Events to users: storage, message (typing) and presence publish, gateways and cli subscribe those they have somebody on. */
#define PGN_SUBJ_USER     "user."     /* + number, pgn_user_subject: Events, each naming its users */
#define PGN_SUBJ_CONV     "conv."     /* + conversation id: Events */
#define PGN_SUBJ_PRESENCE "presence." /* + user id: Events; interest is the watch list */

/*
 * Users share subjects (docs/adr/0006): so many in all, chosen by a hash of the id, the same in every process. One is best while each
 * gateway has users of every subject anyway: neither NATS nor a gateway pays for each user, and what a commit has for all users goes in one
 * message.
 */
enum { PGN_USER_SUBJECTS = 1, PGN_USER_SUBJECT_BYTES = sizeof PGN_SUBJ_USER + 3 };
unsigned pgn_user_subject_number(const char *user);
void pgn_user_subject(unsigned number, char ret_subject[PGN_USER_SUBJECT_BYTES]);

#endif
