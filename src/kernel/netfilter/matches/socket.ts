import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";

const FLAGS = ["transparent", "nowildcard", "restore-skmark"] as const;

/** `socket_mt4_v3()` of xt_socket.c, for transparent sockets: no program here has one (`IP_TRANSPARENT`). */
class SocketMatch implements Match {
  readonly name = "socket";

  constructor(private readonly flags: readonly string[]) {}

  matches(): boolean {
    return false;
  }

  print(): string {
    return this.flags.map((flag) => `--${flag}`).join(" ");
  }
}

export const socketKind: MatchKind = {
  name: "socket",
  options: FLAGS.map((name) => ({ name, values: 0 as const })),
  parse(options) {
    options.limit(["prerouting", "input"]);
    if (!options.has("transparent")) options.refuse(options.token, "-m socket with --transparent");
    return new SocketMatch(FLAGS.filter((name) => options.has(name)));
  },
};
