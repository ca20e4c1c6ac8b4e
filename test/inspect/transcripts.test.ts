import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { filterText } from "../../src/inspect/text-filter.ts";
import { parseScenario } from "../../src/scenario/scenario.ts";
import { Session } from "../../src/scenario/session.ts";
import { parseShellLine } from "../../src/scenario/shell-line.ts";

const pathOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const read = (path: string): string => readFileSync(path, "utf8");

/** The machine and the place in it where each transcript was made. */
const BEFORE = ["desktop-2020", "vm"] as const;
const AFTER = ["desktop-2020-two-containers", "vm"] as const;
const INSIDE = ["desktop-2020-two-containers", "silly_ishizaka"] as const;
const MAC = ["desktop-2020-engine", "mac"] as const;
const MAC_LATER = ["desktop-2020-engine-two", "mac"] as const;
const MAC_OTHER_DAY = ["desktop-2020-engine-one", "mac"] as const;
const VM = ["desktop-2020-engine", "vm"] as const;
const LINUX = ["linux-2017", "host"] as const;
const ENGINE = ["linux-2017-engine", "host"] as const;
const CREATED = ["linux-2017-engine-created", "host"] as const;
const STARTED = ["linux-2017-engine-started", "host"] as const;
const SERVING = ["linux-2017-engine-web", "host"] as const;
const WEB = ["linux-2017", "web"] as const;

const REPRODUCED: Readonly<Record<string, readonly [machine: string, place: string]>> = {
  "desktop-container/cat-etc-hosts": INSIDE,
  "desktop-container/hostname": INSIDE,
  "desktop-container/ip-addr-show": INSIDE,
  "desktop-container/ping-c-2-172-17-0-2": INSIDE,
  "desktop-container/ping-google-com": INSIDE,
  "desktop-container/ping-hostname": INSIDE,
  "desktop-container/route": INSIDE,
  "desktop-container/traceroute-google-com": INSIDE,
  "desktop-host/docker-container-run-dit-p-9000-9000-privileged-v-var-run-do": MAC,
  "desktop-host/docker-container-run-dit-p-9001-9001-privileged-v-var-run-do": MAC,
  "desktop-host/docker-exec-it-95b799d4b84f-bash": MAC_LATER,
  "desktop-host/docker-exec-it-95b799d4b84f-ping-172-17-0-1": MAC_LATER,
  "desktop-host/docker-network-inspect-bridge": MAC,
  "desktop-host/docker-network-inspect-bridge-2": MAC_LATER,
  "desktop-host/docker-network-ls": MAC,
  "desktop-host/docker-ps": MAC_OTHER_DAY,
  "desktop-host/docker-ps-2": MAC_LATER,
  "desktop-vm/brctl-show": BEFORE,
  "desktop-vm/brctl-show-2": AFTER,
  "desktop-vm/cat-etc-resolv-conf": BEFORE,
  "desktop-vm/cat-run-config-docker-daemon-json": BEFORE,
  "desktop-vm/ifconfig": BEFORE,
  "desktop-vm/ifconfig-docker0": BEFORE,
  "desktop-vm/ip-addr-show-docker0": AFTER,
  "desktop-vm/ip-route-show-table-local-type-local": BEFORE,
  "desktop-vm/iptables-t-nat-l": BEFORE,
  "desktop-vm/netstat-l-grep-docker": BEFORE,
  "desktop-vm/ps-ef": VM,
  "desktop-vm/route": BEFORE,
  "linux-container/ip-addr": WEB,
  "linux-container/ip-ro": WEB,
  "linux-host/docker-container-create-name-somecontainer-publish-4567-4567": ENGINE,
  "linux-host/docker-container-start-a-someconatiner": CREATED,
  "linux-host/docker-network-ls": ENGINE,
  "linux-host/docker-ps": SERVING,
  "linux-host/ip-addr": LINUX,
  "linux-host/ip-ro": LINUX,
  "linux-host/iptables-t-nat-l": LINUX,
  "linux-host/jsonpp-var-lib-docker-containers-6b3d9ac5ea953b6e0b5143aeb7c": CREATED,
  "linux-host/jsonpp-var-lib-docker-containers-6b3d9ac5ea953b6e0b5143aeb7c-2": CREATED,
  "linux-host/ps-ww-eh-o-cmd-grep-docker": STARTED,
};

/** Parts of a longer text: their lines must be there, in their order; `...` stands for what was left out of one. */
const EXCERPTS = [
  "desktop-host/docker-exec-it-95b799d4b84f-ping-172-17-0-1",
  "desktop-vm/ps-ef",
  "linux-container/ip-addr",
  "linux-host/docker-network-ls",
  "linux-host/docker-ps",
  "linux-host/ip-addr",
  "linux-host/ip-ro",
  "linux-host/iptables-t-nat-l",
];

/** Slips of the hand that wrote a transcript down. */
const SLIPS: readonly { readonly because: string; readonly mend: (text: string) => string }[] = [
  {
    because: "one line of an answer is indented by eight blanks too many",
    mend: (text) => text.replace(/^ {20}("Network": ""$)/m, "            $1"),
  },
  {
    because: "BusyBox prints the address that answers and no name; a word that was typed stands over it",
    mend: (text) => text.replace(/^64 bytes from arp: /m, "64 bytes from 172.17.0.1: "),
  },
  {
    because: "two letters of the container's name changed places",
    mend: (text) => text.replace("someconatiner", "somecontainer"),
  },
  {
    because: "a terminal of 80 columns broke rows",
    mend: (text) => text.replace(/^([ \d]{5} root .{69})\n/gm, "$1"),
  },
  {
    because: "the first row lost its beginning",
    mend: (text) => text.replace(/^\.\.\.\n(?=\/)/m, "..."),
  },
  {
    because: "a row in which grep finds no docker was written in by hand",
    mend: (text) => text.replace(/^ +\(sh\)\n/m, ""),
  },
];
const mended = (text: string): string => SLIPS.reduce((seen, { mend }) => mend(seen), text);

/** The container that a random ID of the transcripts stands for. */
const CONTAINERS: readonly (readonly [id: string, name: string])[] = [
  ["95b799d4b84f", "silly_ishizaka"],
  ["6b3d9ac5ea953b6e0b5143aeb7c860199239e11a0780fc5f3c4572c8dc5cf00b", "somecontainer"],
];

/** What no model can know. None of them hides an address, a rule, a route or a device of the machine. */
const MASKS: readonly { readonly because: string; readonly mask: (text: string) => string }[] = [
  { because: "a terminal turned tabs into blanks", mask: expandTabs },
  { because: "blanks at the ends of lines were lost", mask: (text) => text.replace(/[ \t]+$/gm, "") },
  {
    because: "packet and byte counters",
    mask: (text) => text.replace(/(packets|bytes|TX bytes):\d+( \([\d.]+ \S+\))?/g, "$1:N"),
  },
  {
    because: "what an image's content adds up to",
    mask: (text) => text.replace(/sha256:[0-9a-f]{64}/g, "sha256:digest"),
  },
  {
    because: "random IDs; not those in the names of bridges",
    mask: (text) =>
      text.replace(/(?<![-\w:])([0-9a-f]{64}|[0-9a-f]{12})(?![\w:])/g, (id) => `ID of ${id.length}`.padEnd(id.length)),
  },
  { because: "the clock", mask: (text) => text.replace(/"Created": "[-\dT:.]+Z"/g, '"Created": "then"') },
  {
    because: "numbers of processes, and how long they had the processor",
    mask: (text) => text.replace(/^ *\d+ (root +)\d+:\d\d /gm, "PID $1TIME "),
  },
  {
    because: "round-trip times",
    mask: (text) => text.replace(/\b[\d.]+ ms\b/g, "N ms").replace(/(avg\/max = )[\d./]+/, "$1N"),
  },
  {
    because: "the routers of the real internet: how many they are between the LAN and Google, and what they are called",
    mask: (text) =>
      text
        .replace(/(from 172\.217\.10\.142: .*ttl=)\d+/g, "$1N")
        .replace(/^ ?\d+ .*\(172\.217\.10\.142\).*$/gm, "last hop (172.217.10.142)")
        .replace(/^( [3-9]|\d\d) {2}.*\n/gm, ""),
  },
];

function expandTabs(text: string): string {
  const rows = text.split("\n").map((row) => {
    let out = "";
    for (const letter of row) out += letter === "\t" ? " ".repeat(8 - (out.length % 8)) : letter;
    return out;
  });
  return rows.join("\n");
}

const masked = (text: string): string => MASKS.reduce((seen, { mask }) => mask(seen), text).trimEnd();

/** The row, or what is left of it where `...` stands for the rest; blanks beside that are what a column was wide. */
function isExcerpt(row: string, whole: string): boolean {
  const parts = row.split("...").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/^ +| +$/g, " *"));
  return new RegExp(`^${parts.join(".*")}$`).test(whole);
}

/** What the command prints there; Ctrl-C comes after so many answers, where it came at all. */
function printed(machine: string, place: string, line: string, interruptAfter: number | null): string {
  const file = pathOf(`machines/${machine}.yaml`);
  const session = new Session(parseScenario(read(file), file, read));
  session.runSteps();
  let text = "";
  const output = { out: (part: string) => void (text += part), err: (part: string) => void (text += part) };
  const answer = (inner: string): string => {
    let said = "";
    session.start(session.find(place)!, inner.split(" "), { ...output, out: (part) => void (said += part) });
    return said;
  };
  const containers = session.containers;
  const known = CONTAINERS.reduce((seen, [id, name]) => seen.replace(id, containers.get(name)?.id ?? id), line);
  const [command] = parseShellLine(known, answer);
  const job = session.start(session.find(place)!, command!.words, output);
  const { scheduler } = session.world.fabric;
  const answers = () => text.match(/^\d+ bytes from/gm)?.length ?? 0;
  while (job.status === null && answers() !== interruptAfter && session.advance(job, scheduler.now + 1e8));
  if (job.status === null && interruptAfter !== null) {
    text += "^C";
    job.interrupt();
  }
  for (const filter of command!.filters) text = filterText(filter, text).out;
  return text;
}

describe("on the scenario of its machine, the command of a transcript prints what it printed there", () => {
  it.each(Object.entries(REPRODUCED))("%s", (file, [machine, place]) => {
    const [command = "", ...rows] = mended(read(pathOf(`transcripts/${file}.txt`))).split("\n");
    const interrupt = rows.indexOf("^C");
    const answers = rows.slice(0, interrupt).filter((row) => /^\d+ bytes from/.test(row)).length;
    const wanted = masked(rows.join("\n"));
    const got = masked(printed(machine, place, command.replace(/^\$ /, ""), interrupt < 0 ? null : answers));
    if (!EXCERPTS.includes(file)) {
      expect(got).toBe(wanted);
      return;
    }
    let left = got.split("\n");
    for (const row of wanted.split("\n")) {
      const at = left.findIndex((each) => isExcerpt(row, each));
      expect(at, `${row}\nin\n${left.join("\n")}`).toBeGreaterThanOrEqual(0);
      left = left.slice(at + 1);
    }
  });

  it("leaves none of them out", () => {
    const folder = pathOf("transcripts");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".txt"));
    expect(files.map((path) => path.replace(".txt", "")).sort()).toEqual(Object.keys(REPRODUCED).sort());
  });
});
