import { PATHS, Traffic } from "./paths.ts";

/** Packets per second and heap bytes per packet of each path, at 1, 1,000 and 100,000 live flows. */

const FLOWS = [1, 1_000, 100_000];
const MILLISECONDS = Number(process.env["BENCH_MS"] ?? 1_000);

function measure(traffic: Traffic, flows: number): { nanoseconds: number; bytes: number } {
  traffic.run(Math.max(flows, 20_000));
  traffic.run(Math.max(flows, 100_000));
  const before = traffic.delivered;
  const start = performance.now();
  let sent = 0;
  let end = start;
  do {
    traffic.run(20_000);
    sent += 20_000;
    end = performance.now();
  } while (end - start < MILLISECONDS);
  if (traffic.delivered - before !== sent) throw new Error(`${sent} sent, ${traffic.delivered - before} delivered`);
  return { nanoseconds: ((end - start) * 1e6) / sent, bytes: allocated(traffic) };
}

/** Heap growth per packet while no collection runs; run with --expose-gc. */
function allocated(traffic: Traffic): number {
  const packets = 50_000;
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  traffic.run(packets);
  return Math.max(0, (process.memoryUsage().heapUsed - before) / packets);
}

console.log("path                                     flows     packets/s   ns/packet   bytes/packet");
for (const path of PATHS)
  for (const flows of FLOWS) {
    const { nanoseconds, bytes } = measure(new Traffic(path, flows), flows);
    const row = [
      path.name.padEnd(36),
      flows.toLocaleString("en").padStart(9),
      Math.round(1e9 / nanoseconds)
        .toLocaleString("en")
        .padStart(13),
      nanoseconds.toFixed(0).padStart(11),
      bytes.toFixed(1).padStart(14),
    ];
    console.log(row.join(""));
  }
