import { interfaceTable } from "./ifconfig.ts";
import { devicesOf, type Machine } from "./machine.ts";
import { lines, type Printed, printed, unmodelled } from "./printed.ts";
import { routeTable } from "./route.ts";
import { type SocketRow, socketRows } from "./socket-list.ts";
import { unixSockets } from "./unix-socket.ts";

const STATES: Readonly<Record<string, string>> = {
  ESTAB: "ESTABLISHED",
  "SYN-SENT": "SYN_SENT",
  "SYN-RECV": "SYN_RECV",
  "FIN-WAIT-1": "FIN_WAIT1",
  "FIN-WAIT-2": "FIN_WAIT2",
  "TIME-WAIT": "TIME_WAIT",
  "CLOSE-WAIT": "CLOSE_WAIT",
  "LAST-ACK": "LAST_ACK",
};

/** `netstat [-tulanprix]`, of net-tools 2.10. */
export function netstat(args: readonly string[], machine: Machine): Printed {
  const wrong = args.find((word) => !/^-[tulanprix4]+$/.test(word));
  if (wrong !== undefined) throw unmodelled(`netstat ${wrong}`, "netstat [-tulanpx], netstat -r and netstat -i");
  const letters = args.join("");
  const has = (letter: string) => letters.includes(letter);
  if (has("r")) return printed(routeTable(machine, has("n"), true));
  const { net } = machine.host;
  if (has("i"))
    return printed(`Kernel Interface table\n${interfaceTable(devicesOf(net), net, "Iface             MTU ")}`);
  const chosen = has("t") || has("u") || has("x");
  const rows = socketRows(machine).filter(
    ({ protocol, listening }) => (!chosen || has(protocol[0]!)) && (has("a") || listening === has("l")),
  );
  const unix = !chosen || has("x") ? unixSockets(machine, has("l"), has("a")) : "";
  const internet = !chosen || has("t") || has("u") ? internetTable(rows, has("l"), has("a"), has("p")) : "";
  return printed(internet + unix);
}

function internetTable(rows: readonly SocketRow[], listening: boolean, all: boolean, processes: boolean): string {
  const which = all ? "servers and established" : listening ? "only servers" : "w/o servers";
  const more = processes ? " PID/Program name   " : "";
  return lines([
    `Active Internet connections (${which})`,
    `Proto Recv-Q Send-Q Local Address           Foreign Address         State      ${more}`,
    ...[...rows].sort((a, b) => a.protocol.localeCompare(b.protocol)).map((row) => line(row, processes)),
  ]);
}

function line({ protocol, local, peer, state }: SocketRow, processes: boolean): string {
  const shown = protocol === "udp" && state === "UNCONN" ? "" : (STATES[state] ?? state);
  return `${protocol.padEnd(5)}      0      0 ${local.padEnd(23)} ${peer.padEnd(23)} ${shown.padEnd(11)}${processes ? " -                   " : ""}`;
}
