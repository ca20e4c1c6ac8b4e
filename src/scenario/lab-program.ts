import { Arguments, splitWords } from "../program/command-line.ts";
import { bytesOf, describeData } from "../program/datagram.ts";
import type { LabStep } from "./lab-case.ts";
import type { ProgramRun } from "./steps.ts";

const PLACE = { file: "", line: 1, column: 1 };
const HEADERS = 28;

/** The packets of programs as steps of a case. */
export class ProgramSteps {
  private sockets = 0;
  private echoes = 0;
  private readonly servers: { readonly id: string; readonly run: ProgramRun; told: number }[] = [];

  constructor(
    private readonly runs: readonly ProgramRun[],
    private readonly lost: string[],
  ) {}

  /** `command` was checked when the scenario was read. */
  steps(command: string, name: string | undefined, ns: string, i: number): LabStep[] {
    const [program, ...words] = splitWords(command, PLACE);
    const run = this.runs.find((each) => each.name === (name ?? program!.text))!;
    const read = (letters: string) => new Arguments(program!.text, words, PLACE, { letters });
    switch (program!.text) {
      case "ping":
        return this.ping(read("c:i:W:w:s:t:M:n"), run, ns, i);
      case "traceroute":
        // Where names come from is no part of a case.
        return [{ op: "tool", ns, command: command.replace("traceroute", "traceroute -n") }];
      case "udp-echo-server":
        return this.server(read("b:"), run, ns);
      case "udp-client":
        return this.client(read("c:W:p:u"), run, ns);
      case "iptables":
        return [{ op: "tool", ns, command }];
      default:
        this.lost.push(`steps.${i}.run: ${program!.text}`);
        return [];
    }
  }

  private echo(ns: string, dst: string, ttl: number, df: boolean, seq: number, size: number): LabStep {
    const icmp = { type: 8, id: this.echoes, seq, size };
    return { op: "raw", ns, pkt: { ip: { src: "0.0.0.0", dst, ttl, id: 0, df }, icmp } };
  }

  private ping(words: Arguments, run: ProgramRun, ns: string, i: number): LabStep[] {
    const told = run.lines.map(({ text }) => /^(\d+) packets transmitted/.exec(text)?.[1]).find((each) => each);
    const count = Number(told ?? words.integer("c", 1, [1, 1_000_000]));
    const size = words.integer("s", 56, [0, 65_507]);
    const dst = words.operand("").text;
    if (size + HEADERS > 1500) {
      this.lost.push(`steps.${i}.run: a ping of ${size} bytes, as raw packets are not fragmented`);
      return [];
    }
    this.echoes++;
    const wait = Math.round(words.seconds("i", 1) / 1e6);
    const df = words.word("M", "want", ["dont", "want", "do"]) !== "dont";
    return Array.from({ length: count }, (_, seq) => ({
      ...this.echo(ns, dst, words.integer("t", 64, [1, 255]), df, seq + 1, size),
      ...(seq + 1 < count ? { wait_ms: wait } : {}),
    }));
  }

  private server(words: Arguments, run: ProgramRun, ns: string): LabStep[] {
    const id = `server-${++this.sockets}`;
    const bind: [string, number] = [words.option("b")?.text ?? "0.0.0.0", Number(words.operand("").text)];
    this.servers.push({ id, run, told: 0 });
    return [{ op: "udp", ns, id, bind }];
  }

  private client(words: Arguments, run: ProgramRun, ns: string): LabStep[] {
    const id = `client-${++this.sockets}`;
    const port = words.option("p");
    const to: [string, number] = [words.operand("").text, Number(words.operand("").text)];
    const data = words.operand("").text;
    const steps: LabStep[] = [
      { op: "udp", ns, id, ...(port === null ? {} : { bind: ["0.0.0.0", Number(port.text)] as [string, number] }) },
    ];
    if (!words.has("u")) steps.push({ op: "connect", id, to });
    const wait = Math.round(words.seconds("W", 1) / 1e6);
    for (let i = 0; i < words.integer("c", 1, [1, 1_000_000]); i++) {
      const unanswered = run.lines.some(({ text }) => text.startsWith("no answer"));
      steps.push({ op: "send", id, ...(words.has("u") ? { to } : {}), data });
      steps.push(...this.answers(run, data));
      steps.push({ op: "recv", id, ...(unanswered ? { wait_ms: wait } : {}) });
    }
    return [...steps, { op: "close", id }];
  }

  /** The next answer of each server that heard these data while the client ran. */
  private answers(client: ProgramRun, sent: string): LabStep[] {
    const end = client.lines.at(-1)?.time ?? 0;
    return this.servers.flatMap((server): LabStep[] => {
      const heard = server.run.lines.filter(({ text }) => text.startsWith("from "));
      const line = heard[server.told];
      const [, address, port, data] = /^from (\S+):(\d+): (.*)$/.exec(line?.text ?? "") ?? [];
      if (line === undefined || line.time > end || address === undefined) return [];
      if (data !== describeData(bytesOf(sent))) return [];
      server.told++;
      const { id } = server;
      return [
        { op: "recv", id },
        { op: "send", id, to: [address, Number(port)], data: sent },
      ];
    });
  }
}
