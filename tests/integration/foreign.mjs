// A client on npm's `ws`: says hello, sends to a peer and prints the answer as one JSON line; then prints what comes in until its input ends.
//   node foreign.mjs WS_URL TOKEN PEER
import { createRequire } from 'node:module'

const require = createRequire(new URL('../../clients/web/package.json', import.meta.url))
const { WebSocket } = require('ws')
const [url, token, peer] = process.argv.slice(2)
const socket = new WebSocket(url, 'pigeon.v1.json')
const print = (value) => process.stdout.write(JSON.stringify(value) + '\n')

socket.on('open', () => socket.send(JSON.stringify({ id: 1, hello: { token } })))
socket.on('message', (data) => {
  const frame = JSON.parse(data)
  print(frame)
  if (frame.id === 1)
    socket.send(JSON.stringify({ id: 2, send: { to: { user: peer }, client_id: 'ws-1', kind: 'text', body: { text: 'from node' } } }))
})
socket.on('error', (problem) => { print({ failed: String(problem) }); process.exit(1) })
process.stdin.on('end', () => socket.close(1000)).resume()
socket.on('close', (code) => { print({ closed: code }); process.exit(0) })
