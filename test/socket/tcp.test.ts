import { describe, expect, it } from "vitest";
import { connected, gather, pour, SERVER, twoHosts } from "./two-hosts.ts";

const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255);

/** Without a list of what differs, which takes long to make. */
const isSame = (got: Uint8Array | null, data: Uint8Array) => got !== null && Buffer.compare(got, data) === 0;

describe("a TCP socket", () => {
  it("connects, and data goes both ways", () => {
    const world = twoHosts();
    const { client, server } = connected(world);
    expect([client.state, server.state]).toEqual(["ESTABLISHED", "ESTABLISHED"]);
    client.write(bytes(5));
    world.run();
    expect(server.read()).toEqual(bytes(5));
    server.write(bytes(3000));
    world.run();
    expect(client.read()).toEqual(bytes(3000));
  });

  it("is refused where nobody listens", () => {
    const world = twoHosts();
    const client = world.host("client").tcp.open();
    const errors: string[] = [];
    client.onError = (errno) => errors.push(errno);
    expect(client.connect(SERVER, 81)).toBeNull();
    world.run();
    expect(errors).toEqual(["ECONNREFUSED"]);
  });

  it("carries a long stream whole", () => {
    const world = twoHosts({ delay: 1e6 });
    const { client, server } = connected(world);
    const data = bytes(3_000_000);
    let got: Uint8Array | null = null;
    gather(server, (all) => {
      got = all;
    });
    pour(client, data, () => client.close());
    world.run();
    expect(isSame(got, data)).toBe(true);
  });

  it("carries a stream whole through loss, reordering, duplication and damage", () => {
    const world = twoHosts({ delay: 1e6, loss: 0.2, reorder: 0.05, duplicate: 0.05, corrupt: 0.02 });
    const { client, server } = connected(world);
    const data = bytes(200_000);
    let got: Uint8Array | null = null;
    gather(server, (all) => {
      got = all;
    });
    pour(client, data, () => client.close());
    world.run();
    expect(isSame(got, data)).toBe(true);
  });

  it("leaves nothing behind after both sides closed", () => {
    const world = twoHosts();
    const { client, server, listener } = connected(world);
    client.close();
    world.run();
    expect(server.state).toBe("CLOSE_WAIT");
    server.close();
    listener.close();
    world.run();
    world.run(world.fabric.scheduler.now + 61e9);
    for (const name of ["client", "server"]) expect([...world.host(name).tcp.connections]).toEqual([]);
    expect(world.fabric.pool.held).toBe(0);
  });
});
