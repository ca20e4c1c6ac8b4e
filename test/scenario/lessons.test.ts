import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { DockerHost } from "../../src/docker/model.ts";
import type { Tuple } from "../../src/kernel/conntrack/connection.ts";
import { Veth } from "../../src/link/veth.ts";
import { LESSON_GROUPS, type Outcome, parseScenario, runScenario } from "../../src/scenario/scenario.ts";
import { readTrace } from "../../src/trace/trace.ts";
import { formatIpv4 } from "../../src/wire/address.ts";
import { recording } from "../kernel/recorded/digest.ts";
import { attachments } from "../kernel/recorded/network.ts";
import { hooksOf } from "../kernel/recorded/retell.ts";
import { RUNS, type Run } from "../kernel/recorded/runs.ts";
import { RecordedTcpdump } from "../kernel/recorded/tcpdump.ts";
import { FOLDER, readScenario, readText, SCENARIO_FILES } from "./files.ts";

const LESSONS = SCENARIO_FILES.map((name) => ({ name, ...readScenario(name) })).filter(({ lesson }) => lesson !== null);

describe("the course", () => {
  test("has each lesson once, in the order of its groups", () => {
    const lessons = LESSONS.map(({ lesson }) => lesson!).sort((a, b) => a.number - b.number);
    expect(new Set(lessons.map(({ number }) => number)).size).toBe(lessons.length);
    const groups = lessons.map(({ group }) => LESSON_GROUPS.indexOf(group));
    expect(groups).toEqual([...groups].sort((a, b) => a - b));
  });
});

/** A lesson repeats a recorded run under an engine: with all of its steps, or some. */
interface Repetition {
  readonly lesson: string;
  readonly engine: string;
  readonly run: string;
  readonly steps?: readonly number[];
  /** The recorder's host had no `-i docker0 -j RETURN`, as without the userland proxy. */
  readonly withoutProxy?: boolean;
}

const REPETITIONS: readonly Repetition[] = [
  { lesson: "way-to-the-internet", engine: "23", run: "t01" },
  { lesson: "way-to-the-internet", engine: "29", run: "n01" },
  { lesson: "first-hop", engine: "23", run: "t13" },
  { lesson: "neighbours", engine: "23", run: "t02" },
  { lesson: "neighbours", engine: "29", run: "n02" },
  { lesson: "published-port-from-lan", engine: "23", run: "t03" },
  { lesson: "published-port-from-lan", engine: "29", run: "n03" },
  { lesson: "localhost-without-proxy", engine: "23", run: "t20" },
  { lesson: "hairpin", engine: "23", run: "t21" },
  { lesson: "hairpin-unfiltered", engine: "23", run: "t24" },
  { lesson: "input-does-not-guard", engine: "23", run: "t14" },
  { lesson: "input-stops-containers", engine: "23", run: "t14b" },
  { lesson: "docker-user-port", engine: "23", run: "t14d", steps: [0, 1, 2] },
  { lesson: "loopback-published", engine: "23", run: "t15", steps: [0, 2] },
  { lesson: "routed-to-container", engine: "23", run: "t11", steps: [0, 1] },
  { lesson: "routed-to-container", engine: "23", run: "t11b", steps: [2] },
  { lesson: "routed-to-container", engine: "29", run: "m11", steps: [0, 1] },
  { lesson: "cross-network", engine: "23", run: "t09" },
  { lesson: "cross-network", engine: "29", run: "n09" },
  { lesson: "wrong-network", engine: "23", run: "t36", steps: [0, 2] },
  { lesson: "wrong-network", engine: "23", run: "t36b", steps: [1, 3] },
  { lesson: "internal-network", engine: "23", run: "t31", steps: [0] },
  { lesson: "internal-network", engine: "23", run: "t31d", steps: [1] },
  { lesson: "container-localhost", engine: "23", run: "t34", steps: [0, 2], withoutProxy: true },
  { lesson: "overlapping-lan", engine: "23", run: "t35", steps: [0] },
  { lesson: "path-mtu", engine: "23", run: "t28", steps: [0] },
  { lesson: "localhost-by-docker-proxy", engine: "23", run: "t04" },
  { lesson: "sibling-by-host-port", engine: "23", run: "t07" },
  { lesson: "sibling-by-host-port", engine: "29", run: "m07" },
  { lesson: "cross-network-by-host-port", engine: "23", run: "t10" },
  { lesson: "icc-off", engine: "23", run: "t32", steps: [0, 1] },
  { lesson: "embedded-dns", engine: "23", run: "t17", steps: [1] },
  { lesson: "embedded-dns", engine: "23", run: "t17c", steps: [0, 2] },
];

describe("a lesson agrees with the kernel in devices, rules, verdicts, tuples and the peer that the server saw:", () => {
  test.each(REPETITIONS)("$lesson under Docker $engine, as recorded in $run", (repetition) => {
    const run = RUNS.find(({ name }) => name === repetition.run)!;
    const ports = new Map(attachments(run.host).map(({ port, container }) => [port, container]));
    const told = retold(repeat(repetition, run), run);
    expect(essence(told)).toEqual(essence(renamed(recording(`${repetition.run}.txt`), ports)));
  });
});

/** When the steps of a lesson begin, after all neighbours came to know each other. */
const START = 1e9;
/** What the recorder waited for an answer at most. */
const LONGEST = { tcp: 1.9e9, udp: 1.9e9, icmp: 4e9 } as const;
/** The base chains that the recorder's host had from the beginning. */
const BASE = ["raw PREROUTING OUTPUT", "nat PREROUTING INPUT OUTPUT POSTROUTING", "filter INPUT FORWARD OUTPUT"]
  .map((line) => line.split(" "))
  .map(([table, ...chains]) => `*${table}\n${chains.map((chain) => `:${chain} ACCEPT\n`).join("")}COMMIT\n`)
  .join("");

/** Runs some steps of a lesson where the neighbours are known and conntrack is empty, as in the recordings. */
function repeat({ lesson, engine, steps, withoutProxy }: Repetition, { protocol, namespace = "host" }: Run): Outcome {
  const file = `${FOLDER}${lesson}.yaml`;
  const spec = parse(readText(file));
  const { host } = spec.namespaces ?? {};
  if (withoutProxy === true) spec.docker.daemon = { "userland-proxy": false };
  const namespaces = { ...spec.namespaces, host: { ...host, rules: BASE } };
  const read = (extra: object) =>
    parseScenario(stringify({ ...spec, namespaces, expect: [], ...extra }), file, readText);
  const { docker } = runScenario(read({ steps: [] }), { engine });
  const wanted = steps === undefined ? spec.steps : steps.map((step) => spec.steps[step]);
  const [first, ...others] = wanted;
  const flush = ["host", "router", namespace].map((name) => ({ flush: "conntrack", in: name }));
  const begin = { ...first, at: `${START}ns` };
  const scenario = read({ steps: [...greetings(docker!), ...flush, begin, ...others] });
  return runScenario(scenario, { engine, until: START + LONGEST[protocol] });
}

function greetings({ containers }: DockerHost): object[] {
  const endpoints = [...containers.values()].flatMap(({ namespace, endpoints }) =>
    endpoints.map(({ address, gateway, network }) => ({ namespace, address, gateway, network })),
  );
  const pairs: [string, string][] = [["lan", "192.168.65.3"]];
  for (const { address } of endpoints) pairs.push(["host", formatIpv4(address)]);
  for (const { namespace, gateway, network } of endpoints) {
    if (gateway !== null) pairs.push([namespace, formatIpv4(gateway)]);
    pairs.push([namespace, "203.0.113.10"]);
    for (const other of endpoints)
      if (other.network === network && other.namespace !== namespace)
        pairs.push([namespace, formatIpv4(other.address)]);
  }
  return pairs.map(([from, to], i) => ({ run: `ping -c 1 -W 0.01 ${to}`, in: from, name: `greeting ${i}` }));
}

/** The account of a run in the words of the kernel's tools; a veth has the name of its container. */
function retold({ world, recorder, capture, programs }: Outcome, { protocol, namespace = "host" }: Run): string {
  const tcpdump = new RecordedTcpdump();
  const ports = new Map<string, string>();
  for (const { device } of world.host(namespace).net.inDevices.values())
    if (device instanceof Veth && device.peer.namespace !== "switch") ports.set(device.name, device.peer.namespace);
  const frames = capture.frames.flatMap((frame) => {
    const place = recorder.names.get(frame.place);
    if (place?.kind !== "device" || place.namespace !== namespace || frame.time < START) return [];
    if (place.device === "lo" && frame.direction === "out") return [];
    return [`DEV ${tcpdump.print(place.device, frame)}`];
  });
  const tuples = [...world.host(namespace).net.tracker.table].map(({ original, reply }) => {
    const side = (tuple: Tuple) => {
      const addresses = `src=${formatIpv4(tuple.source)} dst=${formatIpv4(tuple.destination)}`;
      return tuple.protocol === 1 ? addresses : `${addresses} sport=${tuple.sourcePort} dport=${tuple.destinationPort}`;
    };
    return `CT  [NEW] ${side(original)} ${side(reply)}`;
  });
  const trace = readTrace(recorder);
  const packets = trace.packets.filter(({ time }) => time >= START);
  const peers = programs
    .flatMap(({ lines }) => lines.map(({ text }) => /^from ([\d.]+):/.exec(text)?.[1]))
    .flatMap((peer) => (peer === undefined ? [] : [`CMD peer=${peer}:`]));
  const lines = [...peers, ...tuples, ...frames, ...hooksOf({ ...trace, packets }, namespace, protocol)];
  return renamed(lines.join("\n"), ports);
}

const renamed = (text: string, ports: ReadonlyMap<string, string>): string =>
  [...ports].reduce((told, [port, container]) => told.replaceAll(`DEV ${port} `, `DEV veth(${container}) `), text);

/**
 * What both accounts must agree in: peers, tuples, the crossings of devices and what rules said. Of a TCP flow only SYN,
 * its answer and RST count, for a lesson's programs say other things. Chosen ports, identifiers, lengths and MAC addresses
 * go; so do the policies of mangle and raw, which the recorder made.
 */
function essence(text: string) {
  const lines = text.split("\n").map((line) =>
    line
      .replace(/(?<=[.:]|sport=|dport=|SPORT=|DPORT=)[3-6]\d{4}(?=[: ]|$)/g, "port")
      .replace(/ +/g, " ")
      .replace(/, (seq|win|length|id) .*| \(\d+\)$|(?<=: )\d+\+? (?=A\? |1\/0\/0)/g, ""),
  );
  const gone = lines.filter((line) => line.includes("[DESTROY]")).map(tuplesOf);
  const asked = lines.flatMap((line) => /ARP, Reply (\S+)/.exec(line)?.[1] ?? []);
  const ofFlow = /Flags \[(?!S|R)/;
  return {
    peer: lines.flatMap((line) => /peer=([\d.]+):/.exec(line)?.[1] ?? []).slice(0, 1),
    tuples: lines
      .filter((line) => line.includes("[NEW]"))
      .map(tuplesOf)
      .filter((tuples) => !gone.includes(tuples))
      .sort(),
    crossings: lines.filter(
      (line) =>
        line.startsWith("DEV ") &&
        !ofFlow.test(line) &&
        !line.includes("ARP, Reply") &&
        !asked.some((address) => line.includes(`who-has ${address} `)),
    ),
    rules: rulesOf(lines),
  };
}

const tuplesOf = (line: string): string =>
  [...line.matchAll(/(src|dst|sport|dport)=\S+/g)].map(([word]) => word).join(" ");

function rulesOf(lines: readonly string[]): string[] {
  const told: string[] = [];
  let counts = false;
  for (const line of lines) {
    if (line.startsWith("PKT ")) {
      counts = !/ (ACK|FIN)( (FIN|PSH))?$/.test(line) || line.endsWith("SYN ACK");
      if (counts) told.push(line.replace(/ (MACSRC|MACDST|LEN|TOS|ID)=\S+/g, ""));
    } else if (counts && /^ +\w+:/.test(line) && !/ (mangle|raw):\w+ policy/.test(line)) told.push(line);
  }
  // A packet line stands once for neighbours that only mangle and raw chains had told apart.
  return told.filter((line, index) => !line.startsWith("PKT ") || (told[index + 1] ?? "PKT").startsWith(" "));
}
