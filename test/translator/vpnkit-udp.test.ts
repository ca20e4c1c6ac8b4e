import { describe, expect, it } from "vitest";
import * as icmp from "../../src/wire/icmp.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as udp from "../../src/wire/udp.ts";
import { udpPacket } from "../frames.ts";
import { endpoint, GATEWAY, GUEST, HOST, REMOTE, readError, type Seen, TranslatorStage } from "./stage.ts";

const ports = ({ view, at }: Seen) => [udp.sourcePort(view, at), udp.destinationPort(view, at)];
const text = (letters: string) => Uint8Array.from(letters, (letter) => letter.charCodeAt(0));

function datagram(stage: TranslatorStage, fields: Parameters<typeof udpPacket>[1] = {}, data: number[] = [1, 2, 3]) {
  stage.send(udpPacket(stage.pool, { source: GUEST, destination: REMOTE, destinationPort: 9000, ...fields }, data));
}

describe("UDP of vpnkit", () => {
  it("has one socket for a guest's address and port, whatever the peer", () => {
    const stage = new TranslatorStage();
    datagram(stage, { destination: "203.0.113.10" });
    datagram(stage, { destination: "203.0.113.11" });
    datagram(stage, { sourcePort: 5001 });
    expect(stage.host.datagramSockets.map(({ peer, sent }) => [peer, sent.map(({ to }) => to)])).toEqual([
      [null, ["203.0.113.10:9000", "203.0.113.11:9000"]],
      [null, ["203.0.113.10:9000"]],
    ]);
    expect(stage.balanced).toBe(true);
  });

  it("hands on what any peer sends, in that peer's name: full cone", () => {
    const stage = new TranslatorStage();
    datagram(stage);
    const [socket] = stage.host.datagramSockets;
    socket!.events.received(text("punched"), endpoint("198.51.100.77:1234"), 0);
    const [frame] = stage.take();
    expect(frame).toMatchObject({ source: "198.51.100.77", destination: GUEST, ttl: 38 });
    expect(ports(frame!)).toEqual([1234, 5000]);
    expect(new TextDecoder().decode(frame!.bytes.subarray(frame!.at + 8))).toBe("punched");
    expect(
      udp.isValid(frame!.view, frame!.at, 15, ipv4.source(frame!.view, 14), ipv4.destination(frame!.view, 14)),
    ).toBe(true);
  });

  it("expires a flow that was idle for 60 s at the next sweep, 60 to 120 s later", () => {
    const stage = new TranslatorStage();
    stage.pass(30);
    datagram(stage);
    const [socket] = stage.host.datagramSockets;
    stage.pass(89);
    expect(socket!.closed).toBe(false);
    stage.pass(2);
    expect(socket!.closed).toBe(true);
    expect(stage.guests[0]!.udp.size).toBe(0);
  });

  it("keeps a flow that a reply has touched", () => {
    const stage = new TranslatorStage();
    datagram(stage);
    const [socket] = stage.host.datagramSockets;
    for (let i = 0; i < 10; i++) {
      stage.pass(50);
      socket!.events.received(text("again"), endpoint("203.0.113.10:9000"), 0);
    }
    expect(socket!.closed).toBe(false);
  });

  it("keeps 1,024 flows and evicts the longest unused down to 768 before the next", () => {
    const stage = new TranslatorStage();
    for (let i = 0; i < 1024; i++) datagram(stage, { sourcePort: 10_000 + i });
    expect(stage.guests[0]!.udp.size).toBe(1024);
    expect(stage.host.datagramSockets.some(({ closed }) => closed)).toBe(false);
    datagram(stage, { sourcePort: 10_000 });
    datagram(stage, { sourcePort: 20_000 });
    expect(stage.guests[0]!.udp.size).toBe(769);
    const closed = stage.host.datagramSockets.flatMap(({ closed }, i) => (closed ? [i] : []));
    expect(closed).toEqual(Array.from({ length: 256 }, (_, i) => i + 1));
  });

  it("copies the guest's TTL to the socket and takes nothing off", () => {
    const stage = new TranslatorStage();
    datagram(stage, { ttl: 1 });
    datagram(stage, { ttl: 64 });
    expect(stage.host.datagramSockets[0]!.sent.map(({ ttl }) => ttl)).toEqual([1, 64]);
  });

  it("answers more than 1452 bytes with DF by fragmentation needed, next-hop MTU 1452", () => {
    const stage = new TranslatorStage();
    const fragment = ipv4.DONT_FRAGMENT;
    datagram(stage, { fragment }, new Array(1452).fill(7));
    expect(stage.host.datagramSockets[0]!.sent).toHaveLength(1);
    datagram(stage, { fragment }, new Array(1453).fill(7));
    expect(stage.host.datagramSockets[0]!.sent).toHaveLength(1);
    const [frame] = stage.take();
    expect(frame).toMatchObject({ source: REMOTE, destination: GUEST });
    expect(readError(frame!)).toMatchObject({ type: 3, code: 4, mtu: 1452, valid: true, quotedPort: 5000 });
    expect(stage.drops()).toEqual({ PKT_TOO_BIG: 1 });
    datagram(stage, {}, new Array(1470).fill(7));
    expect(stage.host.datagramSockets[0]!.sent).toHaveLength(2);
  });

  it("ignores 255.255.255.255", () => {
    const stage = new TranslatorStage();
    datagram(stage, { destination: "255.255.255.255" });
    expect(stage.host.datagramSockets).toHaveLength(0);
    expect(stage.drops()).toEqual({ GUEST_BROADCAST: 1 });
  });

  it("leads the host's address to 127.0.0.1, and answers from there back to it", () => {
    const stage = new TranslatorStage();
    datagram(stage, { destination: HOST });
    const [socket] = stage.host.datagramSockets;
    expect(socket!.sent[0]!.to).toBe("127.0.0.1:9000");
    socket!.events.received(text("hi"), endpoint("127.0.0.1:9000"), 0);
    expect(stage.take()[0]).toMatchObject({ source: HOST, destination: GUEST });
  });

  it("answers a forwarded port of the gateway from that port", () => {
    const forwards = [{ protocol: "udp" as const, port: 9000, to: endpoint("10.9.8.7:1000") }];
    const stage = new TranslatorStage({ forwards });
    datagram(stage, { destination: GATEWAY });
    const [socket] = stage.host.datagramSockets;
    expect(socket!.sent[0]!.to).toBe("10.9.8.7:1000");
    socket!.events.received(text("hi"), endpoint("10.9.8.7:1000"), 0);
    const [frame] = stage.take();
    expect(frame).toMatchObject({ source: GATEWAY, destination: GUEST });
    expect(ports(frame!)).toEqual([9000, 5000]);
  });

  it("drops what is for other ports of the gateway in silence, and says so", () => {
    const stage = new TranslatorStage();
    datagram(stage, { destination: GATEWAY });
    expect(stage.take()).toEqual([]);
    expect(stage.drops()).toEqual({ NO_SERVICE: 1 });
  });

  it("reassembles no fragments: the first is too short for its length", () => {
    const stage = new TranslatorStage();
    const packet = udpPacket(stage.pool, { source: GUEST, destination: REMOTE, fragment: ipv4.MORE_FRAGMENTS }, [1, 2]);
    packet.view.setUint16(36 + 4, 2000);
    stage.send(packet);
    expect(stage.drops()).toEqual({ GUEST_FRAGMENT: 1 });
  });

  it("hands on ICMP errors about a datagram, quoting it as the guest sent it", () => {
    const stage = new TranslatorStage();
    datagram(stage);
    const router = endpoint("198.51.100.1:0").address;
    for (const [type, code] of [
      [icmp.TIME_EXCEEDED, 0],
      [icmp.UNREACHABLE, icmp.PORT_UNREACHABLE],
    ] as const) {
      const error = { type, code, information: 0, from: router, ttl: 60 };
      stage.host.datagramSockets[0]!.events.error(
        { errno: "EHOSTUNREACH", icmp: error },
        endpoint(`${REMOTE}:9000`),
        0,
      );
      const [frame] = stage.take();
      expect(frame).toMatchObject({ source: "198.51.100.1", destination: GUEST });
      expect(readError(frame!)).toEqual({
        type,
        code,
        mtu: 0,
        valid: true,
        quotedSource: GUEST,
        quotedDestination: REMOTE,
        quotedPort: 5000,
        quotedDestinationPort: 9000,
      });
    }
  });

  it("says nothing when the host refuses to send, but the trace does", () => {
    const stage = new TranslatorStage();
    datagram(stage);
    stage.host.datagramSockets[0]!.refuses = "ENETUNREACH";
    datagram(stage);
    expect(stage.take()).toEqual([]);
    expect(stage.drops()).toEqual({ HOST_REFUSED: 1 });
  });
});

describe("UDP of other presets", () => {
  it("is symmetric for gvproxy: a socket for each peer, which alone may answer, for 90 s", () => {
    const stage = new TranslatorStage({ preset: "gvproxy" });
    const source = "192.168.127.2";
    datagram(stage, { source, destination: "203.0.113.10" });
    datagram(stage, { source, destination: "203.0.113.11" });
    const sockets = stage.host.datagramSockets;
    expect(sockets.map(({ peer }) => peer?.address)).toEqual(
      ["203.0.113.10:9000", "203.0.113.11:9000"].map((name) => endpoint(name).address),
    );
    stage.pass(89.9);
    expect(sockets.map(({ closed }) => closed)).toEqual([false, false]);
    stage.pass(0.2);
    expect(sockets.map(({ closed }) => closed)).toEqual([true, true]);
  });

  it("lives 240 s for slirp4netns, 10 s once DNS is answered", () => {
    const stage = new TranslatorStage({ preset: "slirp4netns" });
    const source = "10.0.2.100";
    datagram(stage, { source });
    datagram(stage, { source, sourcePort: 5001, destinationPort: 53 });
    const [plain, dns] = stage.host.datagramSockets;
    dns!.events.received(text("answer"), endpoint(`${REMOTE}:53`), 0);
    stage.pass(9);
    expect(dns!.closed).toBe(false);
    stage.pass(2);
    expect(dns!.closed).toBe(true);
    stage.pass(228);
    expect(plain!.closed).toBe(false);
    stage.pass(2);
    expect(plain!.closed).toBe(true);
  });

  it.each([
    ["slirp4netns", "ENETUNREACH", icmp.NET_UNREACHABLE],
    ["slirp4netns", "EHOSTUNREACH", icmp.HOST_UNREACHABLE],
    ["honest", "ENETUNREACH", icmp.NET_UNREACHABLE],
    ["honest", "EHOSTUNREACH", icmp.HOST_UNREACHABLE],
  ] as const)("of %s tells the guest of %s", (preset, errno, code) => {
    const stage = new TranslatorStage({ preset });
    datagram(stage);
    stage.host.datagramSockets[0]!.refuses = errno;
    datagram(stage);
    expect(readError(stage.take()[0]!)).toMatchObject({ type: 3, code, valid: true });
  });

  it("counts as a hop for honest: the TTL loses one, and a TTL of 1 is answered by the gateway", () => {
    const stage = new TranslatorStage({ preset: "honest" });
    datagram(stage, { ttl: 64 });
    datagram(stage, { ttl: 1 });
    expect(stage.host.datagramSockets[0]!.sent.map(({ ttl }) => ttl)).toEqual([63]);
    const [frame] = stage.take();
    expect(frame!.source).toBe(GATEWAY);
    expect(readError(frame!)).toMatchObject({ type: 11, code: 0, valid: true });
    expect(stage.drops()).toEqual({ TTL_EXPIRED: 1 });
  });

  it.each(["gvproxy", "slirp4netns", "honest"] as const)("of %s puts fragments together", (preset) => {
    const stage = new TranslatorStage({ preset });
    const data = Array.from({ length: 2000 }, (_, i) => i & 255);
    const fields = { source: GUEST, destination: REMOTE, destinationPort: 9000, identification: 77 };
    const whole = udpPacket(stage.pool, fields, data);
    const bytes = whole.bytes.slice(36, whole.end);
    const cut = (from: number, to: number, more: boolean) => {
      const packet = udpPacket(
        stage.pool,
        {
          ...fields,
          fragment: (from >> 3) | (more ? ipv4.MORE_FRAGMENTS : 0),
        },
        new Array(to - from - 8).fill(0),
      );
      packet.bytes.set(bytes.subarray(from, to), 36);
      stage.send(packet);
    };
    cut(1480, 2008, false);
    expect(stage.host.datagramSockets).toHaveLength(0);
    cut(0, 1480, true);
    expect([...stage.host.datagramSockets[0]!.sent[0]!.data]).toEqual(data);
    stage.pool.release(whole);
    expect(stage.balanced).toBe(true);
  });
});
