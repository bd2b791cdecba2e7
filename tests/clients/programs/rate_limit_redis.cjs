// rate-limit-redis: express-rate-limit counts visitors in Redis.
"use strict";
const assert = require("node:assert");
const express = require("express");
const { rateLimit } = require("express-rate-limit");
const { RedisStore } = require("rate-limit-redis");
const { createClient } = require("redis");
const { host, port, ride, run } = require("./ride.cjs");

run(async () => {
  const client = createClient({ socket: { host, port } });
  await client.connect();
  const store = new RedisStore({ sendCommand: (...words) => client.sendCommand(words), prefix: "express:" });
  const limiter = rateLimit({
    store,
    windowMs: 60_000,
    limit: 3,
    standardHeaders: "draft-6",
    keyGenerator: (request) => request.query.who,
  });
  for (const who of ["ann", "bob"]) await client.del(`express:${who}`);
  const app = express();
  app.get("/", limiter, (_, response) => response.send("dear"));
  const server = await new Promise((resolve) => {
    const listening = app.listen(0, "127.0.0.1", () => resolve(listening));
  });
  const visit = (who) => fetch(`http://127.0.0.1:${server.address().port}/?who=${who}`);
  const answers = [];
  for (let number = 0; number < 4; number++) answers.push((await visit("ann")).status);
  assert.deepStrictEqual(answers, [200, 200, 200, 429]);
  assert.strictEqual((await visit("bob")).headers.get("ratelimit-remaining"), "2");
  assert.strictEqual((await store.get("ann")).totalHits, 4);
  await store.resetKey("ann");
  assert.strictEqual((await visit("ann")).status, 200);
  await store.decrement("ann");

  const visitors = `visitor-${Date.now()}-`;
  await ride(
    async (number) => {
      const answer = await visit(visitors + number);
      assert.deepStrictEqual([answer.status, answer.headers.get("ratelimit-remaining")], [200, "2"]);
    },
    async (number) => (await store.get(visitors + number)).totalHits === 1,
  );
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await client.close();
});
