// bullmq, which needs lists, sorted sets and scripts of its own: what its user is told, and how soon.
"use strict";
const assert = require("node:assert");
const { Queue } = require("bullmq");
const { host, port, run } = require("./ride.cjs");

const MILLISECONDS_MAX = 5_000;

run(async () => {
  const queue = new Queue("jobs", { connection: { host, port } });
  const begun = Date.now();
  const refused = await queue.add("greet", {}).then(() => assert.fail("it was taken"), (error) => error);
  assert.ok(Date.now() - begun < MILLISECONDS_MAX, refused.message);
  assert.match(refused.message, /unknown command|catalogue/);
  console.log(refused.message.split("\n")[0]);
  await queue.disconnect();
});
