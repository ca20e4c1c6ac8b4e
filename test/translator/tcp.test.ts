import { describe, expect, it } from "vitest";
import type { Veth } from "../../src/link/veth.ts";
import { readTrace } from "../../src/trace/trace.ts";
import { PRESETS } from "../../src/translator/preset.ts";
import { bytes, Desktop, dial, GATEWAY_ADDRESS, HOST_ALIAS, pour, SERVER, serve } from "./desktop.ts";

describe("a TCP connection through vpnkit", () => {
  it("carries a question and its answer, and ends on both sides", () => {
    const desktop = new Desktop();
    const peers = serve(desktop.server, 80, ({ socket }) => {
      socket.write(bytes("hello"));
      socket.shutdown("write");
    });
    const client = dial(desktop.vm, SERVER, 80);
    desktop.pass(1);
    client.socket.write(bytes("ping"));
    client.socket.shutdown("write");
    desktop.pass(1);
    expect(client.text).toBe("hello");
    expect(peers[0]!.text).toBe("ping");
    expect(client.events).toEqual(["connected", "end", "closed"]);
    desktop.pass(200);
    expect(client.events.at(-1)).toBe("closed");
    expect(peers[0]!.events).toContain("closed");
    expect(desktop.translator.tcpFlows).toBe(0);
    expect(desktop.balanced).toBe(true);
    expect([...desktop.mac.tcp.connections]).toEqual([]);
  });

  it("opens the outer socket first: the guest's SYN is answered after the server's SYN-ACK", () => {
    const desktop = new Desktop();
    const recorder = desktop.world.fabric.record();
    serve(desktop.server, 80);
    dial(desktop.vm, SERVER, 80);
    desktop.pass(1);
    const syns = readTrace(recorder).packets.filter(({ hops }) =>
      hops[0]!.steps.some((step) => step.kind === "transport" && (step.flags & 2) !== 0),
    );
    expect(syns.map(({ hops }) => hops[0]!.namespace)).toEqual(["vm", "mac", "server", "translator"]);
    expect(syns.slice(1).map(({ parent }) => parent)).toEqual(syns.slice(0, 3).map(({ id }) => id));
  });

  it("answers RST when the host's connect is refused", () => {
    const desktop = new Desktop();
    const client = dial(desktop.vm, SERVER, 81);
    desktop.pass(1);
    expect(client.events).toEqual(["ECONNREFUSED", "closed"]);
    expect(desktop.translator.tcpFlows).toBe(0);
    expect(desktop.balanced).toBe(true);
  });

  it("leads the host's address to 127.0.0.1 on the host", () => {
    const desktop = new Desktop();
    const peers = serve(desktop.mac, 5000, ({ socket }) => socket.write(bytes("host")), 0x7f000001);
    const client = dial(desktop.vm, HOST_ALIAS, 5000);
    desktop.pass(1);
    expect(client.text).toBe("host");
    expect(peers[0]!.socket.peer!.address).toBe(0x7f000001);
  });

  it("drops a SYN for a port of the gateway that serves nothing: the client hangs", () => {
    const desktop = new Desktop();
    const client = dial(desktop.vm, GATEWAY_ADDRESS, 4444);
    desktop.pass(10);
    expect(client.events).toEqual([]);
  });

  it("leads a forwarded port of the gateway elsewhere", () => {
    const forwards = [{ protocol: "tcp" as const, port: 4444, to: { address: SERVER, port: 80 } }];
    const desktop = new Desktop("vpnkit", { forwards });
    serve(desktop.server, 80, ({ socket }) => socket.write(bytes("forwarded")));
    const client = dial(desktop.vm, GATEWAY_ADDRESS, 4444);
    desktop.pass(1);
    expect(client.text).toBe("forwarded");
  });

  it("preserves a half-close in both directions", () => {
    const desktop = new Desktop();
    const peers = serve(desktop.server, 80);
    const [up, down] = [dial(desktop.vm, SERVER, 80), dial(desktop.vm, SERVER, 80)];
    desktop.pass(5);
    up.socket.shutdown("write");
    peers[1]!.socket.shutdown("write");
    desktop.pass(5);
    expect(peers[0]!.events).toEqual(["end"]);
    expect(down.events).toEqual(["connected", "end"]);
    peers[0]!.socket.write(bytes("still here"));
    down.socket.write(bytes("me too"));
    desktop.pass(5);
    expect(up.text).toBe("still here");
    expect(peers[1]!.text).toBe("me too");
  });

  it("carries a reset either way", () => {
    const desktop = new Desktop();
    const peers = serve(desktop.server, 80);
    const [a, b] = [dial(desktop.vm, SERVER, 80), dial(desktop.vm, SERVER, 80)];
    desktop.pass(1);
    a.socket.abort();
    peers[1]!.socket.abort();
    desktop.pass(1);
    expect(peers[0]!.events).toContain("ECONNRESET");
    expect(b.events).toContain("ECONNRESET");
    expect(desktop.translator.tcpFlows).toBe(0);
    expect(desktop.balanced).toBe(true);
  });

  it.each([
    ["up", 3_000_000],
    ["down", 3_000_000],
  ] as const)("carries megabytes %s", (direction, total) => {
    const desktop = new Desktop();
    const peers = serve(desktop.server, 80, (peer) => {
      if (direction === "down") pour(peer, total);
    });
    const client = dial(desktop.vm, SERVER, 80);
    if (direction === "up") client.socket.onConnect = () => pour(client, total);
    desktop.pass(60);
    expect(direction === "up" ? peers[0]!.received : client.received).toBe(total);
    expect(direction === "up" ? peers[0]!.ended : client.ended).toBe(true);
    expect(desktop.balanced).toBe(true);
  });

  it("holds the guest back when the host's peer does not read, and the host when the guest does not", () => {
    const desktop = new Desktop();
    const peers = serve(desktop.server, 80, (peer) => {
      peer.socket.onReadable = null;
    });
    const client = dial(desktop.vm, SERVER, 80);
    let written = 0;
    const chunk = new Uint8Array(65_536);
    const go = () => {
      while (written < 20_000_000) {
        const taken = client.socket.write(chunk);
        if (typeof taken === "string" || taken === 0) return;
        written += taken;
      }
    };
    client.socket.onConnect = go;
    client.socket.onWritable = go;
    desktop.pass(30);
    const stuck = written;
    expect(stuck).toBeGreaterThan(100_000);
    expect(stuck).toBeLessThan(40_000_000);
    desktop.pass(30);
    expect(written).toBe(stuck);
    const [peer] = peers;
    peer!.socket.onReadable = () => peer!.read();
    peer!.read();
    desktop.pass(200);
    expect(written).toBeGreaterThanOrEqual(20_000_000);
    expect(peer!.received).toBe(written);
  });

  it("has no Nagle: a short segment leaves while another is under way", () => {
    const desktop = new Desktop();
    desktop.world.impair(desktop.world.device("vm", "eth0") as Veth, { delay: 20e6 });
    const peers = serve(desktop.server, 80);
    const client = dial(desktop.vm, SERVER, 80);
    desktop.pass(1);
    const recorder = desktop.world.fabric.record();
    for (const letter of "ab") {
      peers[0]!.socket.write(bytes(letter));
      desktop.pass(0.005);
    }
    const sent = readTrace(recorder).packets.filter(({ hops }) => hops[0]!.namespace === "translator");
    expect(sent.map(({ hops }) => hops[0]!.steps.find((step) => step.kind === "ipv4")!.length)).toEqual([53, 53]);
    desktop.pass(1);
    expect(client.text).toBe("ab");
  });

  it("has no keep-alive: of an idle connection nothing is sent, and after a day it still carries", () => {
    const { behaviour } = PRESETS.vpnkit;
    const desktop = new Desktop("vpnkit", {
      behaviour: { ...behaviour, endpoints: { ...behaviour.endpoints, idle: 0 } },
    });
    const peers = serve(desktop.server, 80);
    const client = dial(desktop.vm, SERVER, 80);
    desktop.pass(60);
    const recorder = desktop.world.fabric.record();
    desktop.pass(86_400);
    expect(readTrace(recorder).packets).toEqual([]);
    peers[0]!.socket.write(bytes("morning"));
    desktop.pass(1);
    expect(client.text).toBe("morning");
  });

  it("closes the connections of an endpoint that was idle for 300 s: the host's side ends, the guest's hears nothing", () => {
    const desktop = new Desktop();
    const peers = serve(desktop.server, 80);
    const client = dial(desktop.vm, SERVER, 80);
    desktop.pass(299);
    expect(desktop.translator.tcpFlows).toBe(1);
    desktop.pass(40);
    expect(desktop.translator.tcpFlows).toBe(0);
    expect(peers[0]!.events).toContain("ECONNRESET");
    expect(client.events).toEqual(["connected"]);
    client.socket.write(bytes("anybody?"));
    desktop.pass(1);
    expect(client.events).toContain("ECONNRESET");
  });

  it("is silent while the host's connect gets no answer, and resets when the host gives up", () => {
    const desktop = new Desktop();
    desktop.world.device("server", "eth0").setUp(false);
    desktop.server.net.sysctls.set("net.ipv4.ip_forward", 0);
    const client = dial(desktop.vm, SERVER, 80);
    const reasons: string[] = [];
    client.socket.onError = (errno) => reasons.push(errno);
    desktop.pass(1);
    expect(client.events).toEqual([]);
    expect(desktop.translator.halfOpen).toBe(1);
    desktop.pass(300);
    expect(reasons).toHaveLength(1);
    expect(desktop.translator.halfOpen).toBe(0);
    expect(desktop.balanced).toBe(true);
  });
});

describe("TCP of other presets", () => {
  it("has ten half-open connections for gvproxy; further SYNs are ignored", () => {
    const desktop = new Desktop("gvproxy");
    desktop.world.device("server", "eth0").setUp(false);
    const clients = Array.from({ length: 12 }, (_, i) => dial(desktop.vm, SERVER, 1000 + i));
    desktop.pass(0.5);
    expect(desktop.translator.halfOpen).toBe(10);
    expect(clients.every(({ events }) => events.length === 0)).toBe(true);
  });

  it("gives the host 75 s for slirp4netns", () => {
    const desktop = new Desktop("slirp4netns");
    serve(desktop.server, 80);
    desktop.world.host("router").net.sysctls.set("net.ipv4.ip_forward", 0);
    const client = dial(desktop.vm, SERVER, 80);
    desktop.pass(74);
    expect(client.events).toEqual([]);
    desktop.pass(2);
    expect(client.events).toEqual(["ECONNREFUSED", "closed"]);
  });

  it.each([
    ["vpnkit", "ECONNREFUSED"],
    ["gvproxy", "ECONNREFUSED"],
    ["slirp4netns", "ENETUNREACH"],
    ["honest", "ENETUNREACH"],
  ] as const)("of %s tells a guest of an unreachable network: %s", (preset, errno) => {
    const desktop = new Desktop(preset);
    desktop.mac.net.fib.remove((route) => route.length === 0);
    const client = dial(desktop.vm, SERVER, 80);
    desktop.pass(1);
    expect(client.events).toEqual([errno, "closed"]);
    expect(desktop.balanced).toBe(true);
  });

  it.each(["gvproxy", "slirp4netns", "honest"] as const)("of %s resets closed ports of the gateway", (preset) => {
    const desktop = new Desktop(preset);
    const client = dial(desktop.vm, GATEWAY_ADDRESS, 4444);
    desktop.pass(1);
    expect(client.events).toEqual(["ECONNREFUSED", "closed"]);
  });
});
