import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { filterText } from "../../src/inspect/text-filter.ts";
import { parseScenario } from "../../src/scenario/scenario.ts";
import { Session } from "../../src/scenario/session.ts";
import { parseShellLine } from "../../src/scenario/shell-line.ts";

const at = (path: string): string => readFileSync(fileURLToPath(new URL(path, import.meta.url)), "utf8");

/** The machine and the place in it where each transcript was made. */
const BEFORE = ["desktop-2020", "vm"] as const;
const AFTER = ["desktop-2020-two-containers", "vm"] as const;
const INSIDE = ["desktop-2020-two-containers", "silly_ishizaka"] as const;
const LINUX = ["linux-2017", "host"] as const;
const WEB = ["linux-2017", "web"] as const;

const REPRODUCED: Readonly<Record<string, readonly [machine: string, place: string]>> = {
  "desktop-container/cat-etc-hosts": INSIDE,
  "desktop-container/hostname": INSIDE,
  "desktop-container/route": INSIDE,
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
  "desktop-vm/route": BEFORE,
  "linux-container/ip-ro": WEB,
  "linux-host/ip-addr": LINUX,
  "linux-host/ip-ro": LINUX,
  "linux-host/iptables-t-nat-l": LINUX,
};

/** Parts of a longer text: their lines must be there, in their order. */
const EXCERPTS = ["linux-host/ip-addr", "linux-host/ip-ro", "linux-host/iptables-t-nat-l"];

/** Not reproduced yet. */
const MISSING = [
  "linux-container/ip-addr: an iproute2 before 4.0, which knows no link-netnsid",
  "desktop-container/ip-addr-show: BusyBox's ip, and the tunnel devices that every namespace of LinuxKit has",
  "desktop-container/ping-*, traceroute-*, desktop-host/docker-exec-*-ping-*: BusyBox's ping and traceroute",
  "desktop-host/docker-*, linux-host/docker-*: engines before 23, whose client prints other columns",
  "desktop-vm/ps-ef, linux-host/ps-*: processes",
  "linux-host/jsonpp-*: the files of dockerd",
];

/** What no model can know. None of them hides an address, a rule, a route or a device. */
const MASKS: readonly { readonly because: string; readonly mask: (text: string) => string }[] = [
  { because: "a terminal turned tabs into blanks", mask: expandTabs },
  { because: "blanks at the ends of lines were lost", mask: (text) => text.replace(/[ \t]+$/gm, "") },
  {
    because: "packet and byte counters",
    mask: (text) => text.replace(/(packets|bytes|TX bytes):\d+( \([\d.]+ \S+\))?/g, "$1:N"),
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

function printed(machine: string, place: string, line: string): string {
  const session = new Session(parseScenario(at(`machines/${machine}.yaml`), `${machine}.yaml`));
  let text = "";
  const [command] = parseShellLine(line, () => "");
  const output = { out: (part: string) => void (text += part), err: (part: string) => void (text += part) };
  session.start(session.find(place)!, command!.words, output);
  for (const filter of command!.filters) text = filterText(filter, text).out;
  return text;
}

describe("on the scenario of its machine, the command of a transcript prints what it printed there", () => {
  it.each(Object.entries(REPRODUCED))("%s", (file, [machine, place]) => {
    const [command = "", ...rows] = at(`transcripts/${file}.txt`).split("\n");
    const wanted = masked(rows.join("\n"));
    const got = masked(printed(machine, place, command.replace(/^\$ /, "")));
    if (!EXCERPTS.includes(file)) {
      expect(got).toBe(wanted);
      return;
    }
    let left = got.split("\n");
    for (const row of wanted.split("\n")) {
      expect(left).toContain(row);
      left = left.slice(left.indexOf(row) + 1);
    }
  });

  for (const what of MISSING) it.todo(what);
});
