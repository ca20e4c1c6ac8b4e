import { parseBusyboxTraceroute } from "./busybox-traceroute.ts";
import { Arguments, type Grammar, type Place, splitWords, unexpected } from "./command-line.ts";
import { parseCurl } from "./curl.ts";
import { CURL_GRAMMAR } from "./curl-options.ts";
import { parseDig } from "./dig.ts";
import { parseDnsServer } from "./dns-server.ts";
import { DOCKER_PROXY_GRAMMAR, parseDockerProxy } from "./docker-proxy.ts";
import { parseDockerSocketProxy } from "./docker-socket-proxy.ts";
import { parseHttpProxy } from "./http-proxy.ts";
import { parseHttpServer } from "./http-server.ts";
import { parseCrictl, parseK3s } from "./k3s.ts";
import { parseNslookup } from "./nslookup.ts";
import { parseBusyboxPing, parsePing } from "./ping.ts";
import type { Program } from "./program.ts";
import { parseRegistry } from "./registry.ts";
import { parseTcpClient } from "./tcp-client.ts";
import { parseTcpEchoServer } from "./tcp-echo-server.ts";
import { parseTraceroute } from "./traceroute.ts";
import { parseTraefik, TRAEFIK_GRAMMAR } from "./traefik.ts";
import { parseUdpClient } from "./udp-client.ts";
import { parseUdpEchoServer } from "./udp-echo-server.ts";

/** Every program: its options, and how its arguments are read. */
type Commands = Readonly<Record<string, readonly [Grammar | string, (words: Arguments) => Program]>>;

const COMMANDS: Commands = {
  ping: ["c:i:W:w:s:t:M:n", parsePing],
  traceroute: ["FITf:m:N:q:w:p:n", parseTraceroute],
  "udp-echo-server": ["b:", parseUdpEchoServer],
  "udp-client": ["c:W:p:u", parseUdpClient],
  "tcp-echo-server": ["b:", parseTcpEchoServer],
  "tcp-client": ["W:p:", parseTcpClient],
  curl: [CURL_GRAMMAR, parseCurl],
  "http-server": ["b:d:s:S:w:", parseHttpServer],
  "http-proxy": ["b:", parseHttpProxy],
  "docker-proxy": [DOCKER_PROXY_GRAMMAR, parseDockerProxy],
  dig: ["p:t:x:", parseDig],
  nslookup: [{ letters: "", long: { timeout: ":" } }, parseNslookup],
  "docker-socket-proxy": ["", parseDockerSocketProxy],
  traefik: [TRAEFIK_GRAMMAR, parseTraefik],
  k3s: ["", parseK3s],
  crictl: ["", parseCrictl],
  registry: ["b:", parseRegistry],
  "dns-server": ["b:p:t:W:f:", parseDnsServer],
};

/** The programs that BusyBox has under the same names. */
const BUSYBOX: Commands = {
  ping: ["c:i:W:w:s:t:4", parseBusyboxPing],
  traceroute: ["f:m:q:w:p:n4", parseBusyboxTraceroute],
};

export const PROGRAMS: readonly string[] = Object.keys(COMMANDS);

/** Whose programs stand in `/bin`. */
export type ProgramFamily = "gnu" | "busybox";

/**
 * Reads a command line such as `ping -c 1 203.0.113.10`; `place` is where its first letter stands.
 * @throws {InputError} that points at the word.
 */
export function parseCommand(text: string, place: Place, family: ProgramFamily = "gnu"): Program {
  const [word = null, ...words] = splitWords(text, place);
  const end = { ...place, column: place.column + text.length };
  const name = word?.text.replace(/^.*\//, "") ?? "";
  if (!Object.hasOwn(COMMANDS, name)) throw unexpected(word, end, `a program (${PROGRAMS.join(", ")})`);
  const commands = family === "busybox" && Object.hasOwn(BUSYBOX, name) ? BUSYBOX : COMMANDS;
  const [options, read] = commands[name]!;
  return read(new Arguments(name, words, end, typeof options === "string" ? { letters: options } : options));
}
