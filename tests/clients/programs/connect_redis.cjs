// connect-redis: the sessions of an Express application, over node-redis.
"use strict";

const assert = require("node:assert");
const session = require("express-session");
const { createClient } = require("redis");
const { RedisStore } = require("connect-redis");
const { host, port, ride, run } = require("./ride.cjs");

// What a store gives to a function that takes (error, value).
const given = (call) =>
  new Promise((resolve, reject) => call((error, value) => (error ? reject(error) : resolve(value))));

async function main() {
  const client = createClient({ url: `redis://${host}:${port}` });
  await client.connect();
  const store = new RedisStore({ client, prefix: "connect-redis:", ttl: 100 });
  assert.ok(store instanceof session.Store);

  const ann = { cookie: { originalMaxAge: null }, name: "ann" };
  await given((done) => store.set("1", ann, done));
  await given((done) => store.set("2", { ...ann, name: "bob" }, done));
  assert.deepStrictEqual(await given((done) => store.get("1", done)), ann);
  assert.strictEqual(await given((done) => store.length(done)), 2);
  assert.deepStrictEqual((await given((done) => store.ids(done))).sort(), ["1", "2"]);
  assert.deepStrictEqual((await given((done) => store.all(done))).map((each) => each.name).sort(), ["ann", "bob"]);
  const left = await client.ttl("connect-redis:1");
  assert.ok(left > 90 && left <= 100, left);

  const soon = new Date(Date.now() + 1000);
  await given((done) => store.touch("1", { cookie: { expires: soon } }, done));
  assert.ok((await client.pTTL("connect-redis:1")) <= 1000);
  while (await given((done) => store.get("1", done))) await new Promise((resolve) => setTimeout(resolve, 50));

  await given((done) => store.destroy("2", done));
  assert.ok(!(await given((done) => store.get("2", done))));
  await given((done) => store.set("3", ann, done));
  await given((done) => store.clear(done));
  assert.strictEqual(await given((done) => store.length(done)), 0);

  await ride(
    (number) => given((done) => store.set(`ride${number}`, { ...ann, name: String(number) }, done)),
    async (number) => (await given((done) => store.get(`ride${number}`, done))).name === String(number),
  );
  await client.close();
}

run(main);
