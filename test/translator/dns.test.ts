import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DnsOptions } from "../../src/translator/dns-forwarder.ts";
import { type DnsMessage, formatDns, parseDns } from "../../src/wire/dns.ts";
import { cutDns } from "../../src/wire/dns-cut.ts";
import { udpPacket } from "../frames.ts";
import { Desktop, dial, GATEWAY_ADDRESS } from "./desktop.ts";
import { endpoint, GATEWAY, GUEST, type Seen, type StageOptions, TranslatorStage } from "./stage.ts";

const SERVERS = ["203.0.113.53:53", "203.0.113.54:53"].map(endpoint);
const dns: DnsOptions = {
  servers: SERVERS,
  hosts: (name) => (name === "printer.local" ? [endpoint("10.0.0.9:0").address] : []),
};

const message = (name: string, type = "A", rest: Partial<DnsMessage> = {}): DnsMessage => ({
  id: 0x1234,
  response: false,
  rcode: "NOERROR",
  recursionDesired: true,
  questions: [{ name, type }],
  answers: [],
  ...rest,
});

const answered = (question: DnsMessage, count = 1, rest: Partial<DnsMessage> = {}): Uint8Array =>
  formatDns({
    ...question,
    response: true,
    answers: Array.from({ length: count }, (_, i) => ({
      ...question.questions[0]!,
      ttl: 60,
      data: `198.18.${i >> 8}.${i & 255}`,
    })),
    ...rest,
  });

function ask(stage: TranslatorStage, question: Uint8Array, destination = GATEWAY): void {
  stage.send(udpPacket(stage.pool, { source: GUEST, destination, destinationPort: 53 }, [...question]));
}

const read = ({ bytes, at }: Seen) => parseDns(bytes.subarray(at + 8))!;
const stageOf = (options: StageOptions = {}) => new TranslatorStage({ dns, ...options });
/** The question as an upstream server got it. */
const upstream = (stage: TranslatorStage) => stage.host.datagramSockets.at(-1)!;

describe("DNS of vpnkit", () => {
  it.each([
    ["host.docker.internal", "192.168.65.2"],
    ["HOST.internal", "192.168.65.2"],
    ["gateway.docker.internal", "192.168.65.1"],
    ["printer.local", "10.0.0.9"],
  ])("knows %s itself, with a TTL of 0", (name, data) => {
    const stage = stageOf();
    ask(stage, formatDns(message(name)));
    const [frame] = stage.take();
    expect(frame).toMatchObject({ source: GATEWAY, destination: GUEST });
    expect(read(frame!)).toMatchObject({ id: 0x1234, response: true, answers: [{ name, type: "A", ttl: 0, data }] });
    expect(stage.host.datagramSockets).toHaveLength(0);
    expect(stage.balanced).toBe(true);
  });

  it("asks all servers at once under an identifier of its own; the first answer wins", () => {
    const stage = stageOf();
    const question = message("web.example");
    ask(stage, formatDns(question));
    const socket = upstream(stage);
    expect(socket.sent.map(({ to }) => to)).toEqual(["203.0.113.53:53", "203.0.113.54:53"]);
    const { id } = parseDns(socket.sent[0]!.data)!;
    socket.events.received(answered({ ...question, id }), SERVERS[1]!, 0);
    socket.events.received(answered({ ...question, id }, 2), SERVERS[0]!, 0);
    const frames = stage.take();
    expect(frames).toHaveLength(1);
    expect(read(frames[0]!)).toMatchObject({ id: 0x1234, answers: [{ data: "198.18.0.0" }] });
    expect(socket.closed).toBe(true);
  });

  it("takes answers from its servers alone, and only to its question", () => {
    const stage = stageOf();
    const question = message("web.example");
    ask(stage, formatDns(question));
    const socket = upstream(stage);
    const { id } = parseDns(socket.sent[0]!.data)!;
    socket.events.received(answered({ ...question, id }), endpoint("198.51.100.66:53"), 0);
    socket.events.received(answered({ ...question, id: id ^ 1 }), SERVERS[0]!, 0);
    socket.events.received(Uint8Array.of(1, 2, 3), SERVERS[0]!, 0);
    expect(stage.take()).toEqual([]);
  });

  it("asks again every second, and gives up in silence after 5 s", () => {
    const stage = stageOf();
    ask(stage, formatDns(message("web.example")));
    stage.pass(4.5);
    expect(upstream(stage).sent).toHaveLength(10);
    stage.pass(1);
    expect(upstream(stage).closed).toBe(true);
    expect(stage.take()).toEqual([]);
    expect(stage.translator.dns.waiting).toBe(0);
  });

  it("cuts an answer by UDP at 512 bytes and says TC", () => {
    const stage = stageOf();
    const question = message("web.example");
    ask(stage, formatDns(question));
    const socket = upstream(stage);
    const { id } = parseDns(socket.sent[0]!.data)!;
    socket.events.received(answered({ ...question, id }, 100), SERVERS[0]!, 0);
    const [frame] = stage.take();
    const answer = read(frame!);
    expect(answer.truncated).toBe(true);
    expect(answer.answers.length).toBeGreaterThan(10);
    expect(frame!.bytes.length - frame!.at - 8).toBeLessThanOrEqual(512);
  });

  it.each([
    ["vpnkit", "NOERROR"],
    ["honest", "NXDOMAIN"],
  ] as const)("of %s says of a name that does not exist: %s", (preset, rcode) => {
    const stage = stageOf({ preset });
    const question = message("nowhere.example");
    ask(stage, formatDns(question));
    const socket = upstream(stage);
    const { id } = parseDns(socket.sent[0]!.data)!;
    socket.events.received(answered({ ...question, id }, 0, { rcode: "NXDOMAIN" }), SERVERS[0]!, 0);
    expect(read(stage.take()[0]!)).toMatchObject({ rcode, answers: [] });
  });

  it("drops what is no question", () => {
    const stage = stageOf();
    ask(stage, Uint8Array.of(1, 2, 3));
    ask(stage, answered(message("web.example")));
    expect(stage.drops()).toEqual({ DNS_MALFORMED: 2 });
  });
});

describe("DNS of other presets", () => {
  it("has no IPv6 addresses for gvproxy, and says NXDOMAIN when no server answers", () => {
    const stage = stageOf({ preset: "gvproxy" });
    const ask = (type: string) =>
      stage.send(
        udpPacket(stage.pool, { source: "192.168.127.2", destination: "192.168.127.1", destinationPort: 53 }, [
          ...formatDns(message("web.example", type)),
        ]),
      );
    ask("AAAA");
    expect(read(stage.take()[0]!)).toMatchObject({ rcode: "NOERROR", answers: [] });
    ask("A");
    stage.pass(6);
    expect(read(stage.take()[0]!)).toMatchObject({ rcode: "NXDOMAIN" });
  });

  it("passes 10.0.2.3 on to the host's server for slirp4netns, and answers from there", () => {
    const stage = stageOf({ preset: "slirp4netns" });
    const question = formatDns(message("web.example"));
    const fields = { source: "10.0.2.100", destination: "10.0.2.3", destinationPort: 53 };
    stage.send(udpPacket(stage.pool, fields, [...question]), { destination: "52:55:0a:00:02:03" });
    expect(upstream(stage).sent).toMatchObject([{ to: "203.0.113.53:53", data: question }]);
    upstream(stage).events.received(answered(message("web.example")), SERVERS[0]!, 0);
    expect(stage.take()[0]).toMatchObject({ source: "10.0.2.3", sourceMac: "52:55:0a:00:02:03" });
  });

  it("says SERVFAIL when no server answers, for honest", () => {
    const stage = stageOf({ preset: "honest" });
    ask(stage, formatDns(message("web.example")));
    stage.pass(6);
    expect(read(stage.take()[0]!)).toMatchObject({ rcode: "SERVFAIL" });
  });
});

describe("cutting a DNS message", () => {
  it("keeps a message that reads, never longer than asked", () => {
    fc.assert(
      fc.property(fc.nat(40), fc.integer({ min: 40, max: 700 }), (count, limit) => {
        const whole = answered(message("web.example"), count);
        const cut = cutDns(whole, limit)!;
        expect(cut.length).toBeLessThanOrEqual(limit);
        const { answers, truncated } = parseDns(cut)!;
        expect(answers).toEqual(parseDns(whole)!.answers.slice(0, answers.length));
        expect(truncated).toBe(answers.length < count);
      }),
    );
  });

  it("never crashes on garbage", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(100), (bytes, limit) => {
        const cut = cutDns(bytes, limit);
        expect(cut === null || cut.length <= bytes.length).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("DNS over TCP", () => {
  it("answers each question of a connection behind its length", () => {
    const desktop = new Desktop();
    const question = formatDns(message("host.docker.internal"));
    const client = dial(desktop.vm, GATEWAY_ADDRESS, 53);
    desktop.pass(1);
    client.socket.write(Uint8Array.of(0, question.length, ...question, 0));
    client.socket.write(Uint8Array.of(question.length, ...question));
    client.socket.shutdown("write");
    let got: number[] = [];
    client.socket.onReadable = () => {
      for (let data = client.socket.read(); data !== null && data.length > 0; data = client.socket.read())
        got = [...got, ...data];
    };
    desktop.pass(5);
    const length = (got[0]! << 8) | got[1]!;
    expect(got).toHaveLength(2 * (length + 2));
    expect(parseDns(Uint8Array.from(got.slice(2, 2 + length)))).toMatchObject({ answers: [{ data: "192.168.65.2" }] });
    desktop.pass(100);
    expect(desktop.translator.tcpFlows).toBe(0);
    expect(desktop.balanced).toBe(true);
  });
});
