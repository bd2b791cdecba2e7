// node sentinel_program.cjs LIBRARY NAME HOST:PORT ...: write p:0, p:1, ... through a library that asks sentinels.
// The program prints the number of each acknowledged write, until its input ends, and then the errors, as JSON.
"use strict";
const [library, name, ...addresses] = process.argv.slice(2);
const nodes = addresses.map((address) => {
  const [host, port] = address.split(":");
  return { host, port: Number(port) };
});
const SECONDS = 4;

async function ioredis() {
  const { Redis } = require("ioredis");
  const client = new Redis({
    sentinels: nodes,
    name,
    commandTimeout: SECONDS * 1000,
    sentinelCommandTimeout: SECONDS * 1000,
    sentinelRetryStrategy: () => 50,
    failoverDetector: true, // it subscribes to +switch-master
    reconnectOnError: (error) => (/^(CLUSTERDOWN|TRYAGAIN)/.test(error.message) ? 2 : false), // 2: and send it again
  });
  client.on("error", () => {}); // it connects again by itself
  return client;
}

async function nodeRedis() {
  const { createSentinel } = require("redis");
  const client = createSentinel({
    name,
    sentinelRootNodes: nodes,
    nodeClientOptions: { commandOptions: { timeout: SECONDS * 1000 } },
  });
  client.on("error", () => {});
  await client.connect();
  return client;
}

async function main() {
  const client = await { ioredis, "node-redis": nodeRedis }[library]();
  let stopping = false;
  process.stdin.on("end", () => (stopping = true)).resume();
  const errors = [];
  for (let number = 0; !stopping; number++) {
    try {
      await client.set(`p:${number}`, String(number));
      console.log(number);
    } catch (error) {
      errors.push(error.message);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  console.log(JSON.stringify(errors));
  process.exit(0);
}

main();
