import { describe, expect, it } from "vitest";
import { Random } from "../../src/sim/random.ts";
import { connected, gather, pour, twoHosts } from "./two-hosts.ts";

/** HOPSCOPE_TRANSFER=10000000 makes it ten megabytes, HOPSCOPE_SEEDS=20 twenty seeds. */
const BYTES = Number(process.env["HOPSCOPE_TRANSFER"] ?? 200_000);
const SEEDS = Number(process.env["HOPSCOPE_SEEDS"] ?? 3);

/** Bytes that no shift of the stream could pass for. */
function noise(length: number, seed: number): Uint8Array {
  const words = new Int32Array(Math.ceil(length / 4));
  const random = new Random(seed);
  for (let i = 0; i < words.length; i++) words[i] = random.next();
  return new Uint8Array(words.buffer, 0, length);
}

describe(`a transfer of ${BYTES} bytes`, () => {
  const cases = Array.from({ length: SEEDS }, (_, i) => i + 1);
  it.each(cases)("arrives whole in both directions through a bad cable, seed %i", { timeout: 600_000 }, (seed) => {
    const impairment = { delay: 5e6, jitter: 1e6, loss: 0.2, reorder: 0.05, duplicate: 0.05, corrupt: 0.02 };
    const world = twoHosts(impairment, seed);
    const { client, server, listener } = connected(world);
    const [up, down] = [noise(BYTES, seed), noise(BYTES, seed + 1000)];
    const got: Record<string, Uint8Array> = {};
    gather(server, (data) => {
      got["up"] = data;
    });
    gather(client, (data) => {
      got["down"] = data;
    });
    pour(client, up, () => client.shutdown("write"));
    pour(server, down, () => server.shutdown("write"));
    world.run(undefined, 1e9);
    expect(Buffer.compare(got["up"] ?? Buffer.alloc(0), up)).toBe(0);
    expect(Buffer.compare(got["down"] ?? Buffer.alloc(0), down)).toBe(0);
    client.close();
    server.close();
    listener.close();
    world.run(world.fabric.scheduler.now + 1000e9, 1e9);
    for (const name of ["client", "server"]) expect([...world.host(name).tcp.connections]).toEqual([]);
    expect(world.fabric.pool.held).toBe(0);
    expect(world.host("client").tcp.open().bind(0, client.local.port)).toBeNull();
  });
});
