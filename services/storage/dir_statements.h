/* Every statement of the directory, prepared once: STO_SQL(id, text). Nothing is ever put into a text. */
STO_SQL(BEGIN, "BEGIN")
STO_SQL(COMMIT, "COMMIT")
STO_SQL(ROLLBACK, "ROLLBACK")
STO_SQL(SAVE, "SAVEPOINT request")
STO_SQL(RELEASE, "RELEASE request")
STO_SQL(BACK, "ROLLBACK TO request")

STO_SQL(USER_ADD, "INSERT INTO users(user, name, password_hash, admin, disabled, must_change, created_at, avatar, about, lang, status_text)"
                  " VALUES(?,?,?,?,?,?,?,?,?,?,'')")
STO_SQL(USER_ADD_NEW,
        "INSERT OR IGNORE INTO users(user, name, password_hash, admin, disabled, must_change, created_at, avatar, about, lang,"
        " status_text) VALUES(?,?,?,?,?,?,?,?,?,?,'')")
STO_SQL(USER_GET, "SELECT user, name, password_hash, admin, disabled, must_change, created_at, last_seen, avatar, about, status_text,"
                  " status_state, file_bytes, lang, version FROM users WHERE user = ?")
STO_SQL(USER_LIST, "SELECT user, name, password_hash, admin, disabled, must_change, created_at, last_seen, avatar, about, status_text,"
                   " status_state, file_bytes, lang, version FROM users WHERE user > ?1 AND (?2 = '' OR substr(user, 1, length(?2)) = ?2"
                   " OR instr(lower(name), lower(?2)) > 0) ORDER BY user LIMIT ?3")
STO_SQL(USER_COUNT, "SELECT count(*) FROM users WHERE ?1 = '' OR substr(user, 1, length(?1)) = ?1 OR instr(lower(name), lower(?1)) > 0")
STO_SQL(USER_SET, "UPDATE users SET name=?2, password_hash=?3, admin=?4, disabled=?5, must_change=?6, last_seen=?7, avatar=?8, about=?9,"
                  " status_text=?10, status_state=?11, lang=?12, version=?13 WHERE user = ?1")
STO_SQL(USER_VERSION, "UPDATE users SET version = version + 1 WHERE user = ?")
STO_SQL(USER_SEEN, "UPDATE users SET last_seen = max(last_seen, ?2) WHERE user = ?1")
STO_SQL(USER_STATUS, "UPDATE users SET status_text = ?2, status_state = ?3 WHERE user = ?1")
STO_SQL(USER_BYTES, "UPDATE users SET file_bytes = max(0, file_bytes + ?2) WHERE user = ?1")
STO_SQL(USER_ADMINS, "SELECT count(*) FROM users WHERE admin AND NOT disabled AND user <> ?")
STO_SQL(PEOPLE, "SELECT user, name, disabled, version FROM users")
STO_SQL(BLOCKS, "SELECT user, other FROM contacts WHERE state = 'blocked'")

STO_SQL(SESSION_GET,
        "SELECT s.hash, s.user, s.device, s.created_at, s.expires_at, s.last_used, s.address, u.must_change, u.admin, u.name, u.disabled"
        " FROM sessions s JOIN users u ON u.user = s.user WHERE s.hash = ?")
STO_SQL(SESSION_LIST,
        "SELECT s.hash, s.user, s.device, s.created_at, s.expires_at, s.last_used, s.address, u.must_change, u.admin, u.name, u.disabled"
        " FROM sessions s JOIN users u ON u.user = s.user WHERE s.user = ? ORDER BY s.created_at, s.device")
STO_SQL(SESSION_ADD, "INSERT INTO sessions(hash, user, device, created_at, expires_at, last_used, address) VALUES(?,?,?,?,?,?,?)")
STO_SQL(SESSION_USED, "UPDATE sessions SET last_used = ?2 WHERE hash = ?1")
STO_SQL(SESSION_DEL, "DELETE FROM sessions WHERE hash = ?")
STO_SQL(SESSION_OLD, "DELETE FROM sessions WHERE expires_at <> 0 AND expires_at < ?")
STO_SQL(SESSION_EXCESS, "SELECT hash FROM sessions WHERE user = ? ORDER BY last_used DESC LIMIT -1 OFFSET ?")
STO_SQL(SESSION_COUNT, "SELECT count(*) FROM sessions")

STO_SQL(MQTT_GET, "SELECT expires_at, cursor, state FROM mqtt WHERE user = ?1 AND device = ?2 AND (expires_at = 0 OR expires_at > ?3)")
STO_SQL(MQTT_PUT,
        "INSERT INTO mqtt(user, device, expires_at, cursor, state) SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS"
        " (SELECT 1 FROM sessions WHERE user = ?1 AND device = ?2 AND (expires_at = 0 OR expires_at > ?6))"
        " ON CONFLICT(user, device) DO UPDATE SET expires_at = excluded.expires_at, cursor = excluded.cursor, state = excluded.state")
STO_SQL(MQTT_DEL, "DELETE FROM mqtt WHERE user = ? AND device = ?")
STO_SQL(MQTT_DEL_SESSION, "DELETE FROM mqtt WHERE (user, device) IN (SELECT user, device FROM sessions WHERE hash = ?)")
STO_SQL(MQTT_OLD,
        "DELETE FROM mqtt WHERE (user, device) IN (SELECT user, device FROM mqtt WHERE expires_at <> 0 AND expires_at <= ?1 LIMIT ?2)")
STO_SQL(MQTT_ORPHANS, "DELETE FROM mqtt WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.user = mqtt.user AND s.device = mqtt.device)")

STO_SQL(CONTACT_GET, "SELECT state FROM contacts WHERE user = ? AND other = ?")
STO_SQL(CONTACT_SET, "INSERT INTO contacts(user, other, state, note, since) VALUES(?,?,?,?,?)"
                     " ON CONFLICT(user, other) DO UPDATE SET state = excluded.state, note = excluded.note, since = excluded.since")
STO_SQL(CONTACT_DEL, "DELETE FROM contacts WHERE user = ? AND other = ?")
STO_SQL(
    CONTACT_LIST,
    "SELECT c.other, u.name, c.state, c.note, c.since FROM contacts c JOIN users u ON u.user = c.other WHERE c.user = ? ORDER BY c.other")

STO_SQL(INVITE_ADD, "INSERT INTO invites(code, created_by, created_at, expires_at, uses_left, conv) VALUES(?,?,?,?,?,?)")
STO_SQL(INVITE_GET, "SELECT code, created_by, created_at, expires_at, uses_left, conv FROM invites WHERE code = ?")
STO_SQL(INVITE_USE,
        "UPDATE invites SET uses_left = uses_left - 1 WHERE code = ?1 AND uses_left > 0 AND (expires_at = 0 OR expires_at > ?2)")
STO_SQL(INVITE_LIST,
        "SELECT code, created_by, created_at, expires_at, uses_left, conv FROM invites ORDER BY created_at DESC, code LIMIT 1000")
STO_SQL(INVITE_DEL, "DELETE FROM invites WHERE code = ?")

STO_SQL(FILE_ADD, "INSERT INTO files(file_id, owner, name, size, mime, sha256, created_at) VALUES(?,?,?,?,?,?,?)")
STO_SQL(FILE_GET,
        "SELECT f.file_id, f.owner, f.name, f.size, f.mime, f.sha256, f.created_at, u.avatar FROM files f JOIN users u ON u.user = f.owner"
        " WHERE f.file_id = ?")
STO_SQL(FILE_DEL, "DELETE FROM files WHERE file_id = ?")

STO_SQL(AUDIT_LAST, "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")
STO_SQL(AUDIT_ADD, "INSERT INTO audit(number, at, actor, action, object, detail, hash) VALUES(?,?,?,?,?,?,?)")
STO_SQL(AUDIT_LIST, "SELECT number, at, actor, action, object, detail, hash FROM audit WHERE number < ? ORDER BY number DESC LIMIT ?")
STO_SQL(AUDIT_ALL, "SELECT number, at, actor, action, object, detail, hash FROM audit ORDER BY number")
