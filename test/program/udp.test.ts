import { describe, expect, it } from "vitest";
import { loadRules, run, smallWorld, start } from "./small-world.ts";

describe("udp-echo-server and udp-client", () => {
  it("say whom they saw", () => {
    const world = smallWorld();
    const server = start(world, "server", "udp-echo-server 3000");
    const client = run(world, "client", "udp-client -p 40000 10.0.3.2 3000 'hello world'");
    expect(server.lines).toEqual(["listening on 0.0.0.0:3000/udp", 'from 10.0.1.2:40000: 11 bytes "hello world"']);
    expect(client.lines).toEqual(['from 10.0.3.2:3000: 11 bytes "hello world"']);
    expect([server.status, client.status]).toEqual([null, 0]);
  });

  it("send as often as -c says, each after the answer to the one before", () => {
    const world = smallWorld();
    start(world, "server", "udp-echo-server 3000");
    const { lines, status } = run(world, "client", "udp-client -c 2000 10.0.3.2 3000 x");
    expect(lines).toHaveLength(2000);
    expect(status).toBe(0);
  });

  it("says that nobody answered in time", () => {
    const world = smallWorld();
    loadRules(world, "router1", "*filter\n-P FORWARD DROP\nCOMMIT\n");
    const { lines, seconds, status } = run(world, "client", "udp-client -W 2 10.0.3.2 3000 hello");
    expect(lines).toEqual(["no answer after 2 s"]);
    expect(seconds).toEqual([2]);
    expect(status).toBe(1);
  });

  it("says that nobody listens, where the socket is connected", () => {
    const { lines, status } = run(smallWorld(), "client", "udp-client 10.0.3.2 3000 hello");
    expect(lines).toEqual(["udp-client: recv: Connection refused"]);
    expect(status).toBe(1);
  });

  it("hears of no error where it is not", () => {
    expect(run(smallWorld(), "client", "udp-client -u 10.0.3.2 3000 hello").lines).toEqual(["no answer after 1 s"]);
  });

  it("refuses a port that is taken", () => {
    const world = smallWorld();
    start(world, "server", "udp-echo-server 3000");
    const second = start(world, "server", "udp-echo-server -b 10.0.3.2 3000");
    expect(second.lines).toEqual(["udp-echo-server: bind: Address already in use"]);
    expect(second.status).toBe(1);
  });

  it("refuses an address that is not its host's", () => {
    const { lines } = start(smallWorld(), "server", "udp-echo-server -b 10.0.1.2 3000");
    expect(lines).toEqual(["udp-echo-server: bind: Cannot assign requested address"]);
  });

  it("refuses a destination without a route", () => {
    const { lines } = run(smallWorld(), "router2", "udp-client 192.0.2.1 53 x");
    expect(lines).toEqual(["udp-client: connect: Network is unreachable"]);
  });
});
