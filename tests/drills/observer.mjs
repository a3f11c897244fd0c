// One observer process on npm's `ws`: the same client as observer.py, which describes configuration, commands and log.
import { createRequire } from 'node:module'
import { openSync, readFileSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'

const require = createRequire(new URL('../../clients/web/package.json', import.meta.url))
const { WebSocket } = require('ws')
const options = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const GAP_MS = 500, PING_MS = 1000, HALF_DEAD_US = 20e6, RESEND_MAX_MS = 1000, TICK_MS = 20
const DEFINITE = new Set(['unavailable', 'overloaded', 'rate_limited'])
const file = openSync(options.log, 'w')
let lines = []
const log = (line) => { lines.push(line) }
const flush = () => { if (lines.length) { writeSync(file, lines.join('\n') + '\n'); lines = [] } }
const now = () => Number(process.hrtime.bigint() / 1000n)

// Repeatable randomness (mulberry32), seeded by the user's name and the drill's seed.
function randomOf(text) {
  let s = 0
  for (const c of text) s = (Math.imul(s, 31) + c.charCodeAt(0)) | 0
  return () => {
    s = (s + 0x6d2b79f5) | 0
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

class User {
  constructor(config) {
    Object.assign(this, { name: config.user, token: config.token, device: config.device, targets: config.targets })
    this.random = randomOf(`${options.seed}/${config.user}`)
    this.pending = new Map() // cid -> {target, number, attempts, at}
    this.views = new Map()
    this.waiting = []
    this.cursor = ''
    this.count = this.acks = this.ids = 0
    this.asked = new Map()
    this.stopping = this.ending = this.open = this.syncing = false
    this.due = 0
  }

  // ---- out ----
  ask(what, op, fields) {
    this.asked.set(++this.ids, what)
    this.socket.send(JSON.stringify({ id: this.ids, [op]: fields }))
  }
  put(cid) {
    const entry = this.pending.get(cid)
    entry.at = now()
    if (entry.attempts++) log(`R ${entry.at} ${this.name} ${cid}`)
    const { user, conv } = entry.target
    const text = `${this.name} ${entry.number} ${'x'.repeat(options.body)}`
    this.ask(['send', cid], 'send', { to: user ? { user } : { conv }, client_id: cid, kind: 'text', body: { text } })
  }
  pick() {
    let at = this.random() * this.targets.reduce((sum, t) => sum + (t.weight ?? 1), 0)
    return this.targets.find((t) => (at -= t.weight ?? 1) < 0) ?? this.targets[0]
  }
  putNew() {
    const cid = `m${++this.count}`, target = this.pick()
    this.pending.set(cid, { target, number: this.count, attempts: 0, at: 0 })
    log(`S ${now()} ${this.name} ${this.device} ${cid} ${target.user ?? target.conv}`)
    this.put(cid)
  }
  write() {
    if (!this.open) return
    const at = performance.now(), pace = options.rate ? 1000 / options.rate : 0
    while (this.waiting.length && this.waiting[0].at <= at) {
      const { cid } = this.waiting.shift()
      if (this.pending.has(cid)) this.put(cid)
    }
    while (!this.stopping && this.pending.size < options.window && at >= this.due) {
      this.putNew()
      this.due = Math.max(this.due + pace, at - pace * 4 - TICK_MS)
    }
  }

  // ---- in ----
  view(conv) {
    if (!this.views.has(conv)) this.views.set(conv, { last: 0, held: new Map(), gapSince: 0, fetching: false })
    return this.views.get(conv)
  }
  show(conv, message, way) {
    const view = this.view(conv), seq = message.seq
    if (seq <= view.last || view.held.has(seq)) {
      if (way === 'w') log(`X ${now()} ${this.name} ${conv} ${seq} ${message.message_id}`)
      return
    }
    view.held.set(seq, [message, way])
    for (let next; (next = view.held.get(view.last + 1)); ) {
      view.held.delete(++view.last)
      const [m, how] = next
      log(`V ${now()} ${this.name} ${conv} ${view.last} ${m.message_id} ${m.from ?? '-'} ${m.client_id || '-'} ${how}`)
    }
    view.gapSince = view.held.size ? view.gapSince || performance.now() : 0
  }
  acked(cid, sent) {
    log(`A ${now()} ${this.name} ${cid} ${sent.conv} ${sent.seq} ${sent.message_id}`)
    if (this.pending.delete(cid)) this.acks++
    this.show(sent.conv, { ...sent, from: this.name, client_id: cid }, 'o')
    if (this.random() < options.again) {
      log(`R ${now()} ${this.name} ${cid}`)
      this.ask(['again', cid], 'send', { to: { conv: sent.conv }, client_id: cid, kind: 'text', body: { text: 'again' } })
    }
  }
  refused(cid, error) {
    const entry = this.pending.get(cid)
    if (!entry) return
    log(`E ${now()} ${this.name} ${cid} ${error.code}`)
    if (!error.retry) this.pending.delete(cid)
    else if (DEFINITE.has(error.code) && entry.attempts === 1 && this.random() < 0.1) {
      log(`N ${now()} ${this.name} ${cid}`)
      this.pending.delete(cid)
    } else this.waiting.push({ at: performance.now() + Math.min(RESEND_MAX_MS, error.retry_after_ms ?? 50), cid })
  }
  answered(what, { ok, error }) {
    const kind = what[0]
    if (kind === 'send') error ? this.refused(what[1], error) : this.acked(what[1], ok.send)
    else if (kind === 'again' && !error) log(`A ${now()} ${this.name} ${what[1]} ${ok.send.conv} ${ok.send.seq} ${ok.send.message_id}`)
    else if (kind === 'ping' && !error && (ok.ping?.cursor ?? '') !== this.cursor && !this.syncing) this.sync()
    else if (kind === 'sync') this.synced(error ? null : ok.sync)
    else if (kind === 'fetch') this.fetched(what, error ? null : ok.fetch)
  }
  sync() {
    this.syncing = true
    this.ask(['sync'], 'sync', { cursor: this.cursor })
  }
  synced(page) {
    this.syncing = false
    if (!page) return
    for (const c of page.convs ?? []) {
      const view = this.view(c.conv)
      if (c.last_seq > view.last && !view.fetching) this.fetch(c.conv, view)
    }
    this.cursor = page.cursor
    if (page.more) this.sync()
  }
  fetch(conv, view) {
    view.fetching = true
    view.gapSince = 0
    this.ask(['fetch', conv, view.last, now()], 'fetch', { conv, after: view.last, limit: 200 })
  }
  fetched([, conv, after, began], page) {
    const view = this.view(conv)
    if (after !== null) view.fetching = false
    if (!page) {
      if (after !== null) { view.gapSince = performance.now(); this.cursor = '' }
      return
    }
    const messages = page.messages ?? []
    if (after === null || !page.more) log(`F ${began} ${now()} ${this.name} ${conv} ${messages.at(-1)?.seq ?? after ?? 0}`)
    if (after === null) return
    for (const m of messages) this.show(conv, m, 'f')
    if (page.more) this.fetch(conv, view)
  }

  // ---- now and then ----
  lookAfter() {
    if (!this.open) return
    const at = performance.now()
    if (at - (this.pinged ?? 0) >= PING_MS) {
      this.pinged = at
      this.ask(['ping'], 'ping', {})
      const convs = [...this.views.keys()], conv = convs[Math.floor(this.random() * convs.length)]
      if (conv) this.ask(['fetch', conv, null, now()], 'fetch', { conv, limit: 1 })
    }
    for (const [conv, view] of this.views) {
      if (view.gapSince && !view.fetching && !this.syncing && at - view.gapSince > GAP_MS) { // what a sync brings is no gap
        log(`G ${now()} ${this.name} ${conv} ${view.last}`)
        this.fetch(conv, view)
      }
    }
    const oldest = this.pending.values().next().value
    if (oldest?.at && now() - oldest.at > HALF_DEAD_US) this.end('half-dead')
    else if (options.cut_s && !this.stopping && this.pending.size && this.random() < 0.1 / options.cut_s) this.end('cut')
  }

  // ---- a connection ----
  end(why) {
    if (!this.socket) return
    log(`D ${now()} ${this.name} ${why.slice(0, 80).replaceAll(' ', '_')}`)
    this.socket.removeAllListeners()
    this.socket.on('error', () => {})
    this.socket.terminate()
    this.socket = null
    this.open = false
    clearTimeout(this.timer)
    if (!this.ending) setTimeout(() => this.connect(), 50 + 200 * this.random())
  }
  connect() {
    const urls = options.urls, socket = (this.socket = new WebSocket(urls[Math.floor(this.random() * urls.length)], 'pigeon.v1.json', { handshakeTimeout: 5000, perMessageDeflate: false }))
    this.asked = new Map()
    this.syncing = false
    this.timer = setTimeout(() => this.open || this.end('no hello'), 15000)
    socket.on('open', () => socket.send(JSON.stringify({ id: 2 ** 40, hello: { token: this.token, cursor: this.cursor } })))
    socket.on('error', (problem) => this.end(String(problem.message)))
    socket.on('close', (code) => this.end(`closed ${code}`))
    socket.on('message', (data) => {
      const frame = JSON.parse(data)
      if (frame.id === 2 ** 40) this.begin(frame)
      else if (frame.id) {
        const what = this.asked.get(frame.id)
        this.asked.delete(frame.id)
        if (what) this.answered(what, frame)
      } else if (frame.message) this.show(frame.message.conv, frame.message, 'w')
      else if (frame.bye) this.end('bye')
    })
  }
  begin(frame) {
    if (!frame.ok) return this.end(`hello refused: ${frame.error?.code}`)
    log(`C ${now()} ${this.name}`)
    this.open = true
    for (const view of this.views.values()) view.fetching = false
    this.waiting = []
    for (const cid of this.pending.keys()) this.put(cid)
    this.sync()
  }
}

const users = options.users.map((c) => new User(c))
for (const u of users) u.connect()
setInterval(() => users.forEach((u) => u.write()), TICK_MS)
setInterval(() => {
  users.forEach((u) => u.lookAfter())
  flush()
  const sum = (of) => users.reduce((total, u) => total + of(u), 0)
  process.stdout.write(`${sum((u) => u.acks)} ${sum((u) => u.pending.size)} ${sum((u) => (u.stopping ? 1 : 0))}\n`)
}, 100)
createInterface({ input: process.stdin }).on('line', (word) => {
  if (word === 'stop') return users.forEach((u) => { u.stopping = true })
  finish()
}).on('close', finish)
function finish() {
  users.forEach((u) => { u.ending = true; u.end('end') })
  flush()
  process.exit(0)
}
