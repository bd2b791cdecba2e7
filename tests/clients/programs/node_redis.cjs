// node-redis: with one address; with the option `sentinel` all addresses, as Sentinel's.
"use strict";
const assert = require("node:assert");
const { createClient, createSentinel, WatchError } = require("redis");
const { addresses, host, port, name, options, ride, run } = require("./ride.cjs");

async function make() {
  const client = options.includes("sentinel")
    ? createSentinel({ name, sentinelRootNodes: addresses, scanInterval: 500 })
    : createClient({ socket: { host, port } });
  client.on("error", () => {}); // it connects again by itself
  return client.connect();
}

// What a single connection is for.
async function tryOut(client) {
  const found = [];
  for await (const keys of client.scanIterator({ MATCH: "nr:*" })) found.push(...keys);
  assert.deepStrictEqual([...new Set(found)].sort(), ["nr:a", "nr:n"]);
  await client.watch("nr:n");
  await client.duplicate().connect().then(async (other) => {
    await other.incr("nr:n");
    await other.close();
  });
  await assert.rejects(client.multi().set("nr:n", 0).exec(), WatchError);
  const listener = client.duplicate();
  await listener.connect();
  const heard = new Promise((resolve) => listener.subscribe("nr:news", resolve).then(() => client.publish("nr:news", "hello")));
  assert.strictEqual(await heard, "hello");
  await listener.close();
}

run(async () => {
  const client = await make();
  await client.del(["nr:a", "nr:n"]);
  assert.strictEqual(await client.set("nr:a", "b", { expiration: { type: "EX", value: 100 } }), "OK");
  assert.strictEqual(await client.set("nr:a", "c", { condition: "NX" }), null);
  assert.strictEqual(await client.get("nr:a"), "b");
  assert.strictEqual(await client.incrBy("nr:n", 5), 5);
  assert.deepStrictEqual(await client.multi().incr("nr:n").get("nr:a").exec(), [6, "b"]);
  if (!options.includes("sentinel")) await tryOut(client);
  await ride(
    (number) => client.set(`ride:nr:${number}`, String(number)),
    async (number) => (await client.get(`ride:nr:${number}`)) === String(number),
  );
  await client.close();
});
