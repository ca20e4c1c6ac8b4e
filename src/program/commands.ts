import { Arguments, type Place, splitWords, unexpected } from "./command-line.ts";
import { parsePing } from "./ping.ts";
import type { Program } from "./program.ts";
import { parseTraceroute } from "./traceroute.ts";
import { parseUdpClient } from "./udp-client.ts";
import { parseUdpEchoServer } from "./udp-echo-server.ts";

/** Every program: getopt's option string, and how its arguments are read. */
const COMMANDS: Readonly<Record<string, readonly [string, (words: Arguments) => Program]>> = {
  ping: ["c:i:W:w:s:t:M:n", parsePing],
  traceroute: ["If:m:q:w:p:n", parseTraceroute],
  "udp-echo-server": ["b:", parseUdpEchoServer],
  "udp-client": ["c:W:p:u", parseUdpClient],
};

/**
 * Reads a command line such as `ping -c 1 203.0.113.10`; `place` is where its first letter stands.
 * @throws {InputError} that points at the word.
 */
export function parseCommand(text: string, place: Place): Program {
  const [name = null, ...words] = splitWords(text, place);
  const end = { ...place, column: place.column + text.length };
  const command = name === null || !Object.hasOwn(COMMANDS, name.text) ? undefined : COMMANDS[name.text];
  if (command === undefined) throw unexpected(name, end, `a program (${Object.keys(COMMANDS).join(", ")})`);
  const [letters, read] = command;
  return read(new Arguments(name!.text, words, end, letters));
}
