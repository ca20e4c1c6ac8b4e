import { describe, expect, it } from "vitest";
import { readTrace } from "../../src/trace/trace.ts";
import { type PublishedPort, parsePublishedPort } from "../../src/translator/published-ports.ts";
import { formatIpv4, parseIpv4 } from "../../src/wire/address.ts";
import { bytes, Desktop, dial, pour, serve } from "./desktop.ts";

const MAC = parseIpv4("198.51.100.7");
const PORT = parsePublishedPort("tcp:0.0.0.0:8080:tcp:192.168.65.3:80");

/** The server, outside, opens the port that the VM publishes. */
function published(desktop: Desktop, port: PublishedPort = PORT) {
  const [guest] = desktop.translator.guests;
  expect(guest!.published.add(port)).toBeNull();
  const peers = serve(desktop.vm, 80, ({ socket }) => socket.write(bytes("from the container")));
  const client = dial(desktop.server, MAC, 8080);
  return { peers, client };
}

describe("a port that vpnkit publishes", () => {
  it("reaches the guest by a forwarder that connects in its own name: the client's address is lost, and the trace says so", () => {
    const desktop = new Desktop();
    const recorder = desktop.world.fabric.record();
    const { peers, client } = published(desktop);
    desktop.pass(1);
    expect(client.text).toBe("from the container");
    expect(formatIpv4(peers[0]!.socket.peer!.address)).toBe("192.168.65.3");
    const lines = readTrace(recorder).packets.flatMap(({ hops }) =>
      hops.flatMap(({ steps }) => steps.flatMap((step) => (step.kind === "translator" ? [step.line] : []))),
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^the client's address 203\.0\.113\.10:\d+ is lost here: a forwarder in the guest/);
    client.socket.shutdown("write");
    peers[0]!.socket.shutdown("write");
    desktop.pass(100);
    expect(peers[0]!.events).toContain("end");
    expect(client.events.at(-1)).toBe("closed");
    expect(desktop.balanced).toBe(true);
  });

  it("carries datagrams, each client by a socket of its own, for 90 s", () => {
    const desktop = new Desktop();
    const [guest] = desktop.translator.guests;
    expect(guest!.published.add(parsePublishedPort("udp:0.0.0.0:5353:udp:192.168.65.3:53"))).toBeNull();
    const seen: string[] = [];
    const server = desktop.vm.udp.open();
    server.bind(0, 53);
    server.onReceive = ({ from, data, packet }) => {
      seen.push(formatIpv4(from.address));
      server.send(data, from, packet);
    };
    const client = desktop.server.udp.open();
    client.send(bytes("question"), { address: MAC, port: 5353 });
    desktop.pass(1);
    expect(seen).toEqual(["192.168.65.3"]);
    expect(client.received.map(({ from, data }) => [formatIpv4(from.address), from.port, data.length])).toEqual([
      ["198.51.100.7", 5353, 8],
    ]);
    desktop.pass(200);
    expect(desktop.world.fabric.scheduler.next).toBeGreaterThan(desktop.world.fabric.scheduler.now);
  });

  it("cannot be published twice: Bind for 0.0.0.0:8080 failed", () => {
    const desktop = new Desktop();
    const [guest] = desktop.translator.guests;
    expect(guest!.published.add(PORT)).toBeNull();
    expect(guest!.published.add(PORT)).toBe("EADDRINUSE");
    guest!.published.remove(PORT);
    expect(guest!.published.add(PORT)).toBeNull();
  });

  it("resets a client when nobody listens in the guest", () => {
    const desktop = new Desktop();
    desktop.translator.guests[0]!.published.add(PORT);
    const client = dial(desktop.server, MAC, 8080);
    desktop.pass(1);
    expect(client.events).toContain("ECONNRESET");
    expect(desktop.balanced).toBe(true);
  });
});

describe("a port that other presets publish", () => {
  it.each([
    ["gvproxy", "192.168.65.1"],
    ["slirp4netns", "203.0.113.10"],
    ["honest", "192.168.65.3"],
  ] as const)("is reached by %s from %s", (preset, from) => {
    const desktop = new Desktop(preset);
    const { peers, client } = published(desktop);
    desktop.pass(1);
    expect(client.text).toBe("from the container");
    expect(formatIpv4(peers[0]!.socket.peer!.address)).toBe(from);
    pour(client, 100_000);
    peers[0]!.socket.shutdown("write");
    desktop.pass(200);
    expect(peers[0]!.received).toBe(100_000);
    expect(client.events.at(-1)).toBe("closed");
    expect(desktop.translator.tcpFlows).toBe(0);
    expect(desktop.balanced).toBe(true);
  });
});

describe("vpnkit's spec of a published port", () => {
  it("reads what it says", () => {
    expect(PORT).toEqual({
      protocol: "tcp",
      outside: { address: 0, port: 8080 },
      inside: { address: parseIpv4("192.168.65.3"), port: 80 },
    });
  });

  it.each([
    "tcp:0.0.0.0:8080",
    "tcp:0.0.0.0:0:tcp:172.17.0.2:80",
    "tcp:0.0.0.0:8080:udp:172.17.0.2:80",
    "tcp:0.0.0.0:8080:tcp:172.17.0.300:80",
    "sctp:0.0.0.0:8080:sctp:172.17.0.2:80",
  ])("refuses %s", (text) => {
    expect(() => parsePublishedPort(text)).toThrow(RangeError);
  });
});
