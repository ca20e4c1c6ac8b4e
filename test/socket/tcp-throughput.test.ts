import { fileURLToPath } from "node:url";
import { describe, it } from "vitest";
import { matchGolden } from "../golden.ts";
import { connected, gather, pour, twoHosts } from "./two-hosts.ts";

const BYTES = 1_500_000;
const LOSS = [0, 0.002, 0.01, 0.03, 0.1];
const BUFFERS = [16_384, 65_536, 262_144, 1_048_576];

/** Megabits a second, of a cable with 10 ms in each direction. */
function throughput(loss: number, buffer: number, congestion: "cubic" | "reno"): string {
  const world = twoHosts({ delay: 10e6, loss });
  const { sysctls } = world.host("client").net;
  sysctls.set("net.ipv4.tcp_congestion_control", congestion);
  for (const name of ["client", "server"]) {
    const { sysctls: own } = world.host(name).net;
    own.set("net.ipv4.tcp_rmem", `4096 ${buffer} ${buffer}`);
    own.set("net.ipv4.tcp_wmem", `4096 ${buffer} ${buffer}`);
  }
  const { client, server } = connected(world);
  const start = world.fabric.scheduler.now;
  let end = 0;
  gather(server, () => {
    end = world.fabric.scheduler.now;
  });
  pour(client, new Uint8Array(BYTES), () => client.close());
  world.run(undefined, 1e9);
  return end === 0 ? "broke" : ((BYTES * 8e3) / (end - start)).toFixed(2);
}

describe("throughput", () => {
  it("falls with loss, and is bounded by the buffers", { timeout: 120_000 }, () => {
    const lines = ["Mbit/s of 1.5 MB over 20 ms of round trip, by loss and by tcp_rmem and tcp_wmem in bytes."];
    for (const congestion of ["cubic", "reno"] as const) {
      lines.push("", [congestion.padEnd(8), ...BUFFERS.map((buffer) => String(buffer).padStart(9))].join(""));
      for (const loss of LOSS) {
        const cells = BUFFERS.map((buffer) => throughput(loss, buffer, congestion).padStart(9));
        lines.push([`${loss * 100} %`.padEnd(8), ...cells].join(""));
      }
    }
    const path = fileURLToPath(new URL("tcp-throughput.golden.txt", import.meta.url));
    matchGolden(path, `${lines.join("\n")}\n`);
  });
});
