// ioredis: with one address; with the option `sentinel` all addresses, as Sentinel's.
"use strict";
const assert = require("node:assert");
const { Redis } = require("ioredis");
const { addresses, host, port, name, options, ride, run } = require("./ride.cjs");

function make() {
  const client = options.includes("sentinel")
    ? new Redis({ sentinels: addresses, name, sentinelRetryStrategy: () => 50 })
    : new Redis({ host, port });
  client.on("error", () => {}); // it connects again by itself
  return client;
}

run(async () => {
  const client = make();
  await client.del("io:a", "io:n");
  assert.strictEqual(await client.set("io:a", "b", "EX", 100), "OK");
  assert.strictEqual(await client.set("io:a", "c", "NX"), null);
  assert.deepStrictEqual(await client.getBuffer("io:a"), Buffer.from("b"));
  assert.strictEqual(await client.incrby("io:n", 5), 5);
  const replies = await client.multi().incr("io:n").get("io:a").exec();
  assert.deepStrictEqual(replies, [[null, 6], [null, "b"]]);
  const many = await Promise.all(Array.from({ length: 100 }, (_, n) => client.set(`io:${n}`, n)));
  assert.ok(many.every((reply) => reply === "OK"));
  const found = [];
  for await (const keys of client.scanStream({ match: "io:*" })) found.push(...keys);
  assert.strictEqual(new Set(found).size, 102);

  const listener = make();
  const heard = new Promise((resolve) => listener.on("message", (channel, message) => resolve([channel, message])));
  assert.strictEqual(await listener.subscribe("io:news"), 1);
  assert.strictEqual(await client.publish("io:news", "hello"), 1);
  assert.deepStrictEqual(await heard, ["io:news", "hello"]);
  listener.disconnect();

  await ride(
    (number) => client.set(`ride:io:${number}`, number),
    async (number) => (await client.get(`ride:io:${number}`)) === String(number),
  );
  await client.quit();
});
