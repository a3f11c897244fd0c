// A conversation by mqtt.js: see talk.py, whose arguments and lines these are.
import { readFileSync } from "node:fs";
import mqtt from "mqtt";

const [url, version, user, password, clientId, clean, filter, topic, count, ca] = process.argv.slice(2);
const say = (...words) => console.log(words.join(" "));
let got = 0;
const client = mqtt.connect(url, {
  protocolVersion: Number(version),
  username: user,
  password,
  clientId,
  clean: clean === "1",
  properties: version === "5" && clean === "0" ? { sessionExpiryInterval: 600 } : undefined,
  ca: ca ? [readFileSync(ca)] : undefined,
  reconnectPeriod: 100,
  resubscribe: false,
});
client.on("error", (e) => say("error", e.code ?? e.message));
client.on("message", (t, payload) => {
  say("got", t, payload);
  if (++got === Number(count)) client.end(false, {}, () => say("closed"));
});
client.on("connect", (packet) => say("connected", packet.sessionPresent ? 1 : 0));
client.once("connect", async () => {
  if (filter !== "-") {
    const [granted] = await client.subscribeAsync(filter, { qos: 1 });
    say("granted", granted.qos);
  }
  if (topic === "-") return;
  for (const qos of [0, 1, 2]) {
    await client.publishAsync(topic, `q${qos}`, { qos });
    say("published", qos);
  }
});
