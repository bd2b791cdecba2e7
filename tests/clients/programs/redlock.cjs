// redlock: locks that a majority of servers grants, here one server, since all nodes are one store. Option: 4 or 5.
"use strict";
const assert = require("node:assert");
const { Redis } = require("ioredis");
const { host, port, options, ride, run } = require("./ride.cjs");

const five = options[0] === "5";
const Redlock = five ? require("redlock").default : require("redlock4");

run(async () => {
  const client = new Redis({ host, port });
  await client.del("redlock:a", "redlock:b", "redlock:ride");
  const patient = new Redlock([client], { retryCount: 20, retryDelay: 100 });
  const hasty = new Redlock([client], { retryCount: 0 });
  const acquire = (locks, keys, milliseconds) => (five ? locks.acquire(keys, milliseconds) : locks.lock(keys, milliseconds));
  const release = (lock) => (five ? lock.release() : lock.unlock());

  let lock = await acquire(hasty, ["redlock:a", "redlock:b"], 20_000);
  await assert.rejects(acquire(hasty, ["redlock:b"], 20_000));
  lock = await lock.extend(60_000);
  assert.ok((await client.pttl("redlock:b")) > 20_000);
  await release(lock);
  await release(await acquire(hasty, ["redlock:b"], 20_000));

  await ride(
    async (number) => {
      const held = await acquire(patient, ["redlock:ride"], 20_000);
      await client.set(`ride:redlock:${number}`, number);
      await release(held);
    },
    async (number) => (await client.get(`ride:redlock:${number}`)) === String(number),
  );
  await client.quit();
});
