// keyv: keys with values of any kind, over node-redis.
"use strict";

const assert = require("node:assert");
const { Keyv } = require("keyv");
const { default: KeyvRedis } = require("@keyv/redis");
const { host, port, ride, run } = require("./ride.cjs");

async function main() {
  const keyv = new Keyv({ store: new KeyvRedis(`redis://${host}:${port}`), namespace: "keyv-program" });
  keyv.on("error", (error) => {
    throw error;
  });
  const other = new Keyv({ store: new KeyvRedis(`redis://${host}:${port}`), namespace: "keyv-other" });
  await other.set("ann", 1);
  await keyv.set("ann", { visits: [1, 2] });
  await keyv.set("bob", "text", 60_000);
  assert.deepStrictEqual(await keyv.get("ann"), { visits: [1, 2] });
  assert.deepStrictEqual(await keyv.get(["bob", "nobody"]), ["text", undefined]);
  assert.strictEqual(await keyv.has("ann"), true);
  const found = [];
  for await (const [key] of keyv.iterator("keyv-program")) found.push(key);
  assert.deepStrictEqual(found.sort(), ["ann", "bob"]);

  await keyv.set("short", 1, 300);
  while ((await keyv.get("short")) !== undefined) await new Promise((resolve) => setTimeout(resolve, 50));

  assert.strictEqual(await keyv.delete("ann"), true);
  assert.strictEqual(await keyv.get("ann"), undefined);
  await keyv.clear();
  assert.strictEqual(await keyv.get("bob"), undefined);
  assert.strictEqual(await other.get("ann"), 1);
  await other.clear();

  await ride(
    async (number) => assert.ok(await keyv.set(`ride${number}`, number)),
    async (number) => (await keyv.get(`ride${number}`)) === number,
  );
  await Promise.all([keyv.disconnect(), other.disconnect()]);
}

run(main);
