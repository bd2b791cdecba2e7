// What every program does at its end, as in ride.py: it writes while the leader dies, and looks for its writes.
"use strict";
const assert = require("node:assert");
const readline = require("node:readline");

const WRITES_BEFORE = 20;
const WRITES_AFTER = 50;
const SECONDS_AFTER = 1;
const PATIENCE_SECONDS = 30;
const PAUSE_MILLISECONDS = 20;

const addresses = process.argv[2].split(",").map((word) => {
  const at = word.lastIndexOf(":");
  return { host: word.slice(0, at), port: Number(word.slice(at + 1)) };
});
const [{ host, port }] = addresses;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const seconds = () => performance.now() / 1000;

// Call write(n) with 0, 1, 2, ... across the kill; then holds(n) says whether an acknowledged one is there.
async function ride(write, holds) {
  const acknowledged = [];
  const errors = [];
  let killedAt, failingSince;
  let before = 0, errorSeconds = 0, longest = 0;
  const lines = readline.createInterface({ input: process.stdin });
  lines.once("line", () => {
    before = acknowledged.length;
    killedAt = seconds();
  });
  const isOver = () => {
    if (killedAt === undefined) return false;
    const since = acknowledged.length - before;
    const passed = seconds() - killedAt;
    assert.ok(since > 0 || passed < PATIENCE_SECONDS, `no write succeeds any more: ${errors.at(-1)}`);
    return since >= WRITES_AFTER && passed >= SECONDS_AFTER;
  };
  for (let number = 0; !isOver(); number++) {
    const begun = seconds();
    try {
      await write(number);
    } catch (error) {
      if (acknowledged.length < WRITES_BEFORE) throw error; // nothing was killed yet
      errors.push(`${error.name}: ${error.message}`.split("\n")[0]);
      failingSince ??= begun;
      await pause(PAUSE_MILLISECONDS);
      continue;
    }
    acknowledged.push(number);
    longest = Math.max(longest, seconds() - begun);
    if (failingSince !== undefined) errorSeconds += seconds() - failingSince;
    failingSince = undefined;
    if (acknowledged.length === WRITES_BEFORE) console.log("ready");
  }
  lines.close();
  process.stdin.destroy();
  const lost = [];
  for (const number of acknowledged) if (!(await holds(number))) lost.push(number);
  assert.deepStrictEqual(lost, [], "acknowledged writes are lost");
  console.log("report", JSON.stringify({
    writes: acknowledged.length,
    errors: errors.length,
    error: errors[0] ?? "",
    error_seconds: Number(errorSeconds.toFixed(2)),
    longest_seconds: Number(longest.toFixed(2)),
  }));
}

// Run a program to its end.
function run(main) {
  main().then(
    () => console.log("all well"),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}

module.exports = { addresses, host, port, name: process.argv[3], options: process.argv.slice(4), pause, ride, run };
