// rate-limiter-flexible: points that are consumed, blocks, and penalties.
"use strict";
const assert = require("node:assert");
const { Redis } = require("ioredis");
const { RateLimiterRedis } = require("rate-limiter-flexible");
const { host, port, ride, run } = require("./ride.cjs");

run(async () => {
  const storeClient = new Redis({ host, port });
  const limiter = new RateLimiterRedis({ storeClient, keyPrefix: "flexible", points: 3, duration: 60 });
  await Promise.all(["ann", "bob"].map((who) => limiter.delete(who)));
  const left = [];
  for (let number = 0; number < 3; number++) left.push((await limiter.consume("ann")).remainingPoints);
  assert.deepStrictEqual(left, [2, 1, 0]);
  await assert.rejects(limiter.consume("ann"), (refused) => refused.msBeforeNext > 0 && refused.consumedPoints === 4);
  assert.strictEqual((await limiter.penalty("bob", 2)).consumedPoints, 2);
  assert.strictEqual((await limiter.reward("bob", 1)).consumedPoints, 1);
  assert.strictEqual((await limiter.get("bob")).remainingPoints, 2);
  await limiter.block("bob", 60);
  await assert.rejects(limiter.consume("bob"), (refused) => refused.msBeforeNext > 0);
  assert.strictEqual(await limiter.delete("bob"), true);

  const visitors = `visitor-${Date.now()}-`;
  await ride(
    async (number) => assert.strictEqual((await limiter.consume(visitors + number)).remainingPoints, 2),
    async (number) => (await limiter.get(visitors + number)).consumedPoints === 1,
  );
  await storeClient.quit();
});
