import { ipAddress } from "./ip-address.ts";
import { ipLink } from "./ip-link.ts";
import { ipNeighbour } from "./ip-neighbour.ts";
import type { IpOptions } from "./ip-options.ts";
import { ipRoute } from "./ip-route.ts";
import { ipRule } from "./ip-rule.ts";
import type { Machine } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";
import { ipStyleOf } from "./userland.ts";
import { matching, Words } from "./words.ts";

/** In the order in which `ip` looks a word up, so that `ip r` is `ip route`. */
const OBJECTS =
  "address addrlabel maddress route rule neighbor neighbour ntable ntbl link l2tp fou ila macsec tunnel tunl tuntap tap token tcpmetrics monitor xfrm mroute mrule netns netconf vrf sr nexthop mptcp ioam stats help".split(
    " ",
  );

/** `ip`, of iproute2 6.1. */
export function ip(args: readonly string[], machine: Machine): Printed {
  const words = new Words(args);
  if (!ipStyleOf(machine.host).full) refuseForBusybox(args);
  const options = readOptions(words);
  if (options === null) return printed("ip utility, iproute2-6.1.0, libbpf 1.1.2\n");
  if (words.done)
    throw new Refusal("Usage: ip [ OPTIONS ] { address | link | neighbour | route | rule } [ COMMAND ]", 255);
  const word = words.next();
  switch (matching(word, OBJECTS)) {
    case "address":
      return ipAddress(words, machine, options);
    case "link":
      return ipLink(words, machine, options);
    case "route":
      return ipRoute(words, machine, options);
    case "rule":
      return ipRule(words, machine);
    case "neighbor":
    case "neighbour":
      return ipNeighbour(words, machine);
    case "netns":
      return namedNamespaces(words);
    case null:
      throw new Refusal(`Object "${word}" is unknown, try "ip help".`, 1);
    default:
      throw unmodelled(`ip ${word}`, "ip address, link, neighbour, route and rule");
  }
}

/** `/run/netns` is empty: neither Docker nor a scenario puts its namespaces there. */
function namedNamespaces(words: Words): Printed {
  if (words.done || "list".startsWith(words.peek)) return printed("");
  throw unmodelled(
    `ip netns ${words.peek}`,
    "ip netns list, which is empty; enter NAME and hopscope exec go to namespaces",
  );
}

/** BusyBox prints its usage instead. @throws {Refusal} */
function refuseForBusybox(args: readonly string[]): void {
  const option = args.find((word) => word.startsWith("-"));
  if (option !== undefined && !/^-+(4|6|o|oneline|f|family)$/.test(option))
    throw new Refusal(`ip: BusyBox's ip has no option ${option}; it takes -4, -6 and -o`, 1);
  const [object = ""] = args.filter((word) => !word.startsWith("-"));
  if ("neighbour".startsWith(object) && object.length > 0)
    throw unmodelled("the ip neigh of BusyBox", "arp -n, which prints the same table");
}

/** Null for `-V`. */
function readOptions(words: Words): IpOptions | null {
  let family: IpOptions["family"] = null;
  let brief = false;
  let statistics = false;
  let oneLine = false;
  while (words.peek.startsWith("-")) {
    const word = words.next().replace(/^-+/, "");
    if (word === "4") family = "inet";
    else if (word === "6") family = "inet6";
    else if ("family".startsWith(word) && word.startsWith("f")) family = words.need() === "inet6" ? "inet6" : "inet";
    else if ("brief".startsWith(word) && word.startsWith("br")) brief = true;
    else if ("statistics".startsWith(word) && word.startsWith("s")) statistics = true;
    else if ("oneline".startsWith(word) && word.startsWith("o")) oneLine = true;
    else if (word === "V" || word === "Version") return null;
    else if (word === "n" || word === "netns")
      throw unmodelled(`ip -${word}`, "ip -4, -6, -br, -s and -o; name the host or container instead");
    else if (/^c(o(l(or?)?)?)?(=.*)?$|^N$|^r$|^h$/.test(word)) continue;
    else if (
      /^(d(etails?)?|j(son)?|p(retty)?|t(imestamp)?|ts(hort)?|b(atch)?|a(ll)?|iec|0|M|B|l(oops)?|rc(vbuf)?)$/.test(word)
    )
      throw unmodelled(`ip -${word}`, "ip -4, -6, -br, -s and -o");
    else throw new Refusal(`Option "-${word}" is unknown, try "ip -help".`, 255);
  }
  const join = (entry: string) => (oneLine ? `${entry.trimEnd().replaceAll("\n", "\\")}\n` : entry);
  return { family, brief, statistics, oneLine, join };
}
