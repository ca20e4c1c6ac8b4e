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
  const notIgmp = (line: string) => !/igmp|unknown {2}2 /.test(line);
  return [
    ...lines("cmd").flatMap(commandLine),
    ...lines("conntrack")
      .filter(notIgmp)
      .map((line) => `CT  ${line.replace(/^\[[\d.]+\]\s+/, "")}`),
    ...lines("tcpdump")
      .filter((line) => notIgmp(line) && !line.includes(" IP6 "))
      .map(
        (line) =>
          `DEV ${line
            .replace(/^\S+ /, "")
            .replace(/ options \[.*?\],/, "")
            .replace(/: HTTP$/, "")}`,
      ),
    ...hookLines(lines("xtmon")),
    "",
  ].join("\n");
}

/** What the command learned of the network; timings and its own summary are left out. */
function commandLine(line: string): string[] {
  if (!/^(64 bytes from |From |client |ping: |reply |# |\d {2}|\S+ A @)/.test(line)) return [];
  return [`CMD ${line.replace(/ time=.*/, "")}`];
}

/**
 * `xtables-monitor --trace`, of the kernel or of hopscope: one PKT line per packet and hook, its rules and policies below
 * it. Identifications, which the kernel draws at random, are numbered as they appear.
 */
export function hookLines(lines: readonly string[]): string[] {
  const told: string[] = [];
  const identifications: string[] = [];
  let header = "";
  let written = "";
  const identification = (word: string): string => {
    if (!identifications.includes(word)) identifications.push(word);
    return `ID=#${identifications.indexOf(word) + 1}`;
  };
  for (const line of lines) {
    if (line.startsWith("PACKET: ")) {
      const words = linkWords(line.trim().split(" ").slice(3)).filter((word) => !word.startsWith("MACPROTO="));
      header = words.map((word) => (word.startsWith("ID=") ? identification(word) : word)).join(" ");
      continue;
    }
    const [, where, what, rule] = /TRACE: \d+ \S+ (\w+:[\w-]+):(?:rule:0x\w+:)?(\S+) *(.*)/.exec(line)!;
    if (rule!.endsWith("-j TRACE")) continue;
    if (header !== written) told.push(`PKT ${header}`);
    written = header;
    const text = rule!.replace(/^-4 -t \w+ -A \S+ ?/, "");
    told.push(`      ${where} ${what === "0xfffffffb" ? "RETURN" : what}${text === "" ? "" : `  ${text}`}`);
  }
  return told;
}

/** Where the packet has no input device, iptables 1.8.9 prints the bytes of its Ethernet header as signed characters. */
function linkWords(words: readonly string[]): readonly string[] {
  const link = words.indexOf("LL=0x0");
  if (link < 0) return words;
  const bytes = words[link + 1]!.match(/ffffff[89a-f][\da-f]|[0-7][\da-f]/g)!.map((byte) =>
    Number.parseInt(byte.slice(-2), 16).toString(16),
  );
  const known = [`MACSRC=${bytes.slice(6, 12).join(":")}`, `MACDST=${bytes.slice(0, 6).join(":")}`];
  return [...words.slice(0, link), ...known, ...words.slice(link + 2)];
}

export const recording = (name: string): string => readFileSync(join(folder, name), "utf8");

const folder = dirname(fileURLToPath(import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const path of process.argv.slice(2)) {
    const name = readdirSync(dirname(path)).find((file) => file.startsWith(basename(path)) && file.endsWith(".xtmon"))!;
    process.stdout.write(digest(join(dirname(path), name.slice(0, -".xtmon".length))));
  }
