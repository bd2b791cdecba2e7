// keyv: keys with values of any kind, over node-redis. The first argument is the port of a node.
"use strict";

const assert = require("node:assert");
const { Keyv } = require("keyv");
const { default: KeyvRedis } = require("@keyv/redis");

async function main() {
  const keyv = new Keyv({ store: new KeyvRedis(`redis://127.0.0.1:${process.argv[2]}`), namespace: "keyv-program" });
  keyv.on("error", (error) => {
    throw error;
  });
  const other = new Keyv({ store: new KeyvRedis(`redis://127.0.0.1:${process.argv[2]}`), namespace: "keyv-other" });
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
  await Promise.all([keyv.disconnect(), other.disconnect()]);
  console.log("all well");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
