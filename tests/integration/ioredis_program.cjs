// node ioredis_program.cjs HOST PORT CA USER: get in by TLS with the password in DKV_PASSWORD, and say what comes of it.
"use strict";
const { readFileSync } = require("fs");
const { Redis } = require("ioredis");
const [host, port, ca, username] = process.argv.slice(2);

async function main() {
  const client = new Redis({
    host,
    port: Number(port),
    username,
    password: process.env.DKV_PASSWORD,
    tls: { ca: readFileSync(ca) },
    retryStrategy: null,
  });
  await client.set("app:ioredis", "one");
  const mine = await client.get("app:ioredis");
  const other = await client.get("other").catch((error) => error.message);
  client.disconnect();
  console.log(JSON.stringify([mine, other]));
}

main();
