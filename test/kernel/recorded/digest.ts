import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The raw files of one recorded run (`NAME.cmd`, `.conntrack`, `.tcpdump`, `.xtmon`) as the text that hopscope's own
 * account must equal; README.md beside this file says what the lines are. The recordings in this folder were written by
 * `npx tsx test/kernel/recorded/digest.ts DIRECTORY/NAME...`.
 */
export function digest(path: string): string {
  const lines = (suffix: string): string[] =>
    existsSync(`${path}.${suffix}`)
      ? readFileSync(`${path}.${suffix}`, "utf8")
          .split("\n")
          .filter((line) => line !== "")
      : [];
  return [
    ...lines("cmd").flatMap(commandLine),
    ...lines("conntrack").map((line) => `CT  ${line.replace(/^\[[\d.]+\]\s+/, "")}`),
    ...lines("tcpdump").map((line) => `DEV ${line.replace(/^\S+ /, "").replace(/ options \[.*?\],/, "")}`),
    ...hooks(lines("xtmon")),
    "",
  ].join("\n");
}

/** What the command learned of the network; timings and its own summary are left out. */
function commandLine(line: string): string[] {
  if (!/^(64 bytes from |From |client local|# |\d {2})/.test(line)) return [];
  return [`CMD ${line.replace(/ time=.*/, "")}`];
}

/** `xtables-monitor --trace`: one PKT line per packet and hook, its rules and policies below it. */
function hooks(lines: readonly string[]): string[] {
  const told = new HookLines();
  for (const line of lines) {
    if (line.startsWith("PACKET: ")) told.packet(line.trim().split(" ").slice(3));
    else {
      const { where, what, rule } =
        /TRACE: \d+ \S+ (?<where>\w+:[\w-]+):(?:rule:0x\w+:)?(?<what>\S+) *(?<rule>.*)/.exec(line)!.groups as Record<
          string,
          string
        >;
      if (rule!.endsWith("-j TRACE")) continue;
      const text = rule!.replace(/^-4 -t \w+ -A \S+ /, "");
      told.line(where!, what === "0xfffffffb" ? "RETURN" : what!, text);
    }
  }
  return told.lines;
}

/** Writes PKT blocks; both the kernel's account and hopscope's go through it. */
export class HookLines {
  readonly lines: string[] = [];
  private header = "";
  private written = "";
  private readonly identifications = new Map<string, number>();

  /** What a base chain begins with: words such as `IN=docker0`, as `xtables-monitor` prints them. */
  packet(words: readonly string[]): void {
    const link = words.indexOf("LL=0x0");
    const known =
      link < 0 ? words : [...words.slice(0, link), ...linkWords(words[link + 1]!), ...words.slice(link + 2)];
    this.header = known
      .filter((word) => !word.startsWith("MACPROTO="))
      .map((word) => (word.startsWith("ID=") ? `ID=#${this.identification(word)}` : word))
      .join(" ");
  }

  line(where: string, what: string, rule: string): void {
    if (this.header !== this.written) this.lines.push(`PKT ${this.header}`);
    this.written = this.header;
    this.lines.push(`      ${where} ${what}${rule === "" ? "" : `  ${rule}`}`);
  }

  /** The kernel draws identifications at random: they are numbered as they appear. */
  private identification(word: string): number {
    if (!this.identifications.has(word)) this.identifications.set(word, this.identifications.size + 1);
    return this.identifications.get(word)!;
  }
}

/** The Ethernet header of a packet without an input device; iptables 1.8.9 prints its bytes as signed characters. */
function linkWords(hex: string): string[] {
  const bytes = hex
    .match(/ffffff[89a-f][\da-f]|[0-7][\da-f]/g)!
    .map((byte) => Number.parseInt(byte.slice(-2), 16).toString(16));
  return [`MACSRC=${bytes.slice(6, 12).join(":")}`, `MACDST=${bytes.slice(0, 6).join(":")}`];
}

export const recording = (name: string): string => readFileSync(join(folder, name), "utf8");

const folder = dirname(fileURLToPath(import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const path of process.argv.slice(2)) {
    const name = readdirSync(dirname(path)).find((file) => file.startsWith(basename(path)) && file.endsWith(".xtmon"))!;
    process.stdout.write(digest(join(dirname(path), name.slice(0, -".xtmon".length))));
  }
