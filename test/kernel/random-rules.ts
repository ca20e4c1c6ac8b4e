import fc from "fast-check";
import { parseRules } from "../../src/kernel/netfilter/rule-text.ts";

/** Rules over every match and target, aimed at the addresses and ports that random-lab.ts uses. */

const TABLES = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
  security: ["INPUT", "FORWARD", "OUTPUT"],
} as const;
export type TableName = keyof typeof TABLES;
const ORDER = Object.keys(TABLES) as TableName[];

const IN = ["PREROUTING", "INPUT", "FORWARD"];
const OUT = ["FORWARD", "OUTPUT", "POSTROUTING"];
const LOCAL = ["OUTPUT", "POSTROUTING"];

/** `ipset save` text for the matches of sets. */
export const SETS = [
  "create addresses hash:ip family inet hashsize 1024 maxelem 65536",
  "add addresses 172.17.0.2",
  "add addresses 198.51.100.7",
  "create nets hash:net family inet hashsize 1024 maxelem 65536",
  "add nets 172.17.0.0/16",
  "add nets 172.17.0.3 nomatch",
  "create services hash:ip,port family inet hashsize 1024 maxelem 65536",
  "add services 198.51.100.7,udp:53",
  "add services 172.17.0.2,tcp:80",
  "",
].join("\n");

/** Each with the chains that take it; none stands for all. */
const MATCHES: readonly (readonly [string, (readonly string[])?])[] = [
  ["-i br0", IN],
  ["! -i br0", IN],
  ["-i eth0", IN],
  ["-i v+", IN],
  ["-o br0", OUT],
  ["! -o br0", OUT],
  ["-o eth0", OUT],
  ["-s 172.17.0.2/32"],
  ["! -s 172.17.0.0/16"],
  ["-s 192.168.1.0/24"],
  ["-d 172.17.0.2/32"],
  ["-d 198.51.100.7/32"],
  ["! -d 192.168.1.10/32"],
  ["-f"],
  ["! -f"],
  ["-p udp"],
  ["-p tcp"],
  ["-p icmp"],
  ["! -p udp"],
  ["-p udp -m udp --dport 53"],
  ["-p udp -m udp --sport 1024:65535 ! --dport 80"],
  ["-p tcp -m tcp --dport 80"],
  ["-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN"],
  ["-p tcp -m tcp ! --tcp-flags SYN NONE"],
  ["-p tcp -m tcp --tcp-option 2"],
  ["-p icmp -m icmp --icmp-type 8"],
  ["-p icmp -m icmp --icmp-type 3/3"],
  ["-p icmp -m icmp ! --icmp-type 11"],
  ["-p udp -m multiport --dports 53,80,1000:2000"],
  ["-p tcp -m multiport ! --ports 80,8080"],
  ["-p udp -m multiport --sports 40000"],
  ["-p sctp -m sctp --dport 80"],
  ["-p sctp -m sctp --chunk-types any DATA,ABORT:T"],
  ["-p sctp -m sctp ! --chunk-types only INIT,INIT_ACK,DATA:BE"],
  ["-m conntrack --ctstate NEW"],
  ["-m conntrack --ctstate RELATED,ESTABLISHED"],
  ["-m conntrack --ctstate INVALID,UNTRACKED"],
  ["-m conntrack ! --ctstate NEW"],
  ["-m conntrack --ctstate SNAT"],
  ["-m conntrack --ctstate DNAT"],
  ["-m conntrack --ctproto 17 --ctorigdstport 53"],
  ["-m conntrack --ctorigsrc 172.17.0.0/16"],
  ["-m conntrack ! --ctorigdst 198.51.100.7"],
  ["-m conntrack --ctreplsrc 198.51.100.7"],
  ["-m conntrack --ctrepldst 192.168.1.10"],
  ["-m conntrack --ctstatus CONFIRMED"],
  ["-m conntrack --ctstatus SEEN_REPLY,ASSURED"],
  ["-m conntrack ! --ctstatus NONE"],
  ["-m conntrack --ctexpire 1:60"],
  ["-m conntrack --ctdir REPLY"],
  ["-m state --state NEW,RELATED"],
  ["-m addrtype --dst-type LOCAL"],
  ["-m addrtype ! --src-type LOCAL"],
  ["-m addrtype --dst-type BROADCAST"],
  ["-m addrtype --dst-type UNICAST --limit-iface-in", ["PREROUTING", "INPUT", "FORWARD"]],
  ["-m mark --mark 0x1"],
  ["-m mark ! --mark 0x2/0x3"],
  ["-m connmark --mark 0x1"],
  ["-m connmark ! --mark 0x0"],
  ["-m limit --limit 1/hour --limit-burst 3"],
  ["-m hashlimit --hashlimit-above 1/hour --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name h1"],
  ["-m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 1 --hashlimit-mode dstip,dstport --hashlimit-name h2"],
  ["-m hashlimit --hashlimit-above 1kb/s --hashlimit-burst 2kb --hashlimit-mode dstip --hashlimit-name h3"],
  // Not connlimit: what it counts depends on whether two steps share a clock tick.
  ["-m comment --comment aimed"],
  ["-m iprange --src-range 172.17.0.1-172.17.0.2"],
  ["-m iprange ! --dst-range 172.17.0.2-192.168.1.9"],
  ["-m mac --mac-source 02:00:00:00:00:01", IN],
  ["-m mac ! --mac-source 02:00:00:00:01:01", IN],
  ["-m physdev --physdev-in v1", IN],
  ["-m physdev --physdev-is-bridged", ["FORWARD", "POSTROUTING"]],
  ["-m physdev ! --physdev-is-in"],
  ["-m physdev --physdev-out v2 --physdev-is-bridged", ["FORWARD", "POSTROUTING"]],
  ["-m pkttype --pkt-type unicast"],
  ["-m pkttype --pkt-type broadcast"],
  ["-m set --match-set addresses src"],
  ["-m set ! --match-set addresses dst"],
  ["-m set --match-set nets src"],
  ["-m set --match-set services dst,dst"],
  ["-m statistic --mode nth --every 2 --packet 0"],
  ["-m statistic --mode nth ! --every 3 --packet 1"],
  ['-m string --string "DEFG" --algo bm'],
  ['-m string ! --string "XYZ" --algo kmp --to 60'],
  ["-m owner --uid-owner 0", LOCAL],
  ["-m owner --socket-exists", LOCAL],
  ["-m owner ! --uid-owner 0", LOCAL],
  ["-m length --length 0:100"],
  ["-m length ! --length 28"],
  ["-m ttl --ttl-eq 64"],
  ["-m ttl --ttl-lt 3"],
  ["-m ttl --ttl-gt 62"],
  ["-m tos --tos 0x10"],
  ["-m dscp --dscp 0x08"],
  ["-m dscp ! --dscp 0x00"],
  ["-p tcp -m tcp --tcp-flags SYN,RST SYN -m tcpmss --mss 536:1400"],
  ["-m recent --name seen --rsource --set"],
  ["-m recent --name seen --rcheck --hitcount 2 --rsource"],
  ["-m recent --name gone --rdest --update"],
  ["-m connbytes --connbytes 2 --connbytes-mode packets --connbytes-dir both"],
  ["-m connbytes --connbytes 100:2000 --connbytes-mode bytes --connbytes-dir original"],
  ['-m u32 --u32 "0x6&0xff=0x11"'],
  ['-m u32 --u32 "0x0>>0x16&0x3c@0x0>>0x10=0x35:0x9c40"'],
  ["-m policy --dir in --pol none", IN],
  ["-m policy --dir out --pol ipsec", OUT],
  ["-m rpfilter", ["PREROUTING"]],
  ["-m rpfilter --loose --invert", ["PREROUTING"]],
  ["-m socket", ["PREROUTING", "INPUT"]],
  ["-m socket --nowildcard", ["PREROUTING"]],
  ["-m socket --transparent", ["PREROUTING", "INPUT"]],
  ["-m addrtype --src-type UNICAST --limit-iface-out", ["FORWARD", "OUTPUT", "POSTROUTING"]],
  ["-m ttl ! --ttl-eq 64"],
  ["-m conntrack --ctstatus EXPECTED"],
  ["-m conntrack --ctexpire 100:200"],
  ["-m recent --name seen --rttl --rcheck --rsource"],
  ["-m recent --name seen --remove --rsource"],
  ["-m physdev --physdev-is-out", ["POSTROUTING", "FORWARD"]],
  ["-m quota --quota 200"],
  ["-m helper --helper ftp"],
  ["-m time --utc"],
  ["-m cpu ! --cpu 99"],
];

/** Each with its tables, and its chains where not all take it. */
const TARGETS: readonly (readonly [string, readonly TableName[], (readonly string[])?])[] = [
  ["ACCEPT", ORDER],
  ["ACCEPT", ["filter", "mangle", "nat"]],
  ["DROP", ["filter", "filter", "raw", "mangle", "security"] as TableName[]],
  ["RETURN", ORDER],
  ...[
    "",
    " --reject-with icmp-net-unreachable",
    " --reject-with icmp-host-unreachable",
    " --reject-with icmp-proto-unreachable",
    " --reject-with icmp-admin-prohibited",
    " --reject-with icmp-host-prohibited",
  ].map((how) => [`REJECT${how}`, ["filter"]] as const),
  ['LOG --log-prefix "seen "', ORDER],
  ["NFLOG --nflog-group 5", ["filter"]],
  ["MARK --set-xmark 0x1/0xffffffff", ["mangle", "raw"]],
  ["MARK --set-xmark 0x2/0x3", ["mangle"]],
  ["MARK --or-mark 0x4", ["mangle"]],
  ["MARK --xor-mark 0x1", ["mangle"]],
  ["CONNMARK --save-mark", ["mangle"]],
  ["CONNMARK --restore-mark", ["mangle"]],
  ["CONNMARK --set-xmark 0x1/0xff", ["mangle", "nat"]],
  ["CT --notrack", ["raw"]],
  ["NOTRACK", ["raw"]],
  ["CT --zone 1", ["raw"]],
  ["CT --zone-orig 2", ["raw"]],
  ["CT --zone-reply 2", ["raw"]],
  ["CONNMARK --restore-mark --nfmask 0x3 --ctmask 0x3", ["mangle"]],
  ["CONNMARK --or-mark 0x1", ["mangle"]],
  ["MARK --and-mark 0x2", ["mangle"]],
  ["MASQUERADE --random-fully", ["nat"], ["POSTROUTING"]],
  ["DNAT --to-destination 198.51.100.7", ["nat"], ["PREROUTING", "OUTPUT"]],
  ["SNAT --to-source 172.17.0.1", ["nat"], ["POSTROUTING", "INPUT"]],
  ["NETMAP --to 172.17.0.3/32", ["nat"], ["PREROUTING", "OUTPUT", "POSTROUTING"]],
  ["DNAT --to-destination 172.17.0.2", ["nat"], ["PREROUTING", "OUTPUT"]],
  ["DNAT --to-destination 172.17.0.2-172.17.0.3", ["nat"], ["PREROUTING", "OUTPUT"]],
  ["REDIRECT", ["nat"], ["PREROUTING", "OUTPUT"]],
  ["SNAT --to-source 192.168.1.10", ["nat"], ["POSTROUTING", "INPUT"]],
  ["SNAT --to-source 192.168.1.10-192.168.1.12 --persistent", ["nat"], ["POSTROUTING"]],
  ["MASQUERADE", ["nat", "nat"] as TableName[], ["POSTROUTING"]],
  ["NETMAP --to 198.51.100.0/24", ["nat"], ["PREROUTING", "OUTPUT"]],
  ["NETMAP --to 192.168.1.0/24", ["nat"], ["POSTROUTING"]],
  ["TTL --ttl-set 5", ["mangle"]],
  ["TTL --ttl-dec 1", ["mangle"]],
  ["TTL --ttl-inc 2", ["mangle"]],
  ["TOS --set-tos 0x10/0xff", ["mangle"]],
  ["TOS --or-tos 0x04", ["mangle"]],
  ["DSCP --set-dscp 0x08", ["mangle"]],
  ["CLASSIFY --set-class 0001:0002", ["mangle"], ["FORWARD", "OUTPUT", "POSTROUTING"]],
  ["CHECKSUM --checksum-fill", ["mangle"]],
  ["TRACE", ["raw"]],
  ["SET --add-set addresses src", ["mangle"]],
  ["TEE --gateway 172.17.0.2", ["mangle"]],
];

/** Targets that need a protocol in front of them. */
const WITH_PROTOCOL: readonly (readonly [string, TableName, readonly string[]])[] = [
  ["-p tcp -j REJECT --reject-with tcp-reset", "filter", ["INPUT", "FORWARD", "OUTPUT"]],
  ["-p udp -j DNAT --to-destination 172.17.0.2:53", "nat", ["PREROUTING", "OUTPUT"]],
  ["-p udp -m udp --dport 8080 -j DNAT --to-destination 172.17.0.3:53-55", "nat", ["PREROUTING"]],
  ["-p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80", "nat", ["PREROUTING", "OUTPUT"]],
  ["-p udp -j REDIRECT --to-ports 53", "nat", ["PREROUTING", "OUTPUT"]],
  ["-p udp -j SNAT --to-source 192.168.1.10:2000-2003", "nat", ["POSTROUTING"]],
  ["-p udp -j MASQUERADE --to-ports 3000-3010", "nat", ["POSTROUTING"]],
  ["-p tcp -j MASQUERADE --random", "nat", ["POSTROUTING"]],
  ["-p sctp -j DNAT --to-destination 172.17.0.2:80", "nat", ["PREROUTING", "OUTPUT"]],
  ["-p sctp -j MASQUERADE", "nat", ["POSTROUTING"]],
  ["-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 500", "mangle", ["FORWARD", "OUTPUT", "POSTROUTING"]],
  ["-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu", "mangle", ["FORWARD", "POSTROUTING"]],
  ["-p udp -j TPROXY --on-port 53 --on-ip 172.17.0.1 --tproxy-mark 0x1/0x1", "mangle", ["PREROUTING"]],
  ["-p udp -j TPROXY --on-port 700 --tproxy-mark 0x1/0x1", "mangle", ["PREROUTING"]],
  ["-p tcp -j TPROXY --on-port 80 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1", "mangle", ["PREROUTING"]],
  ["-p tcp -j SNAT --to-source 192.168.1.10:600-603", "nat", ["POSTROUTING"]],
  ["-p udp -j DNAT --to-destination 172.17.0.2-172.17.0.3:6000-6009/5", "nat", ["PREROUTING"]],
];

const OWN = ["ONE", "TWO"];

function isAccepted(table: TableName, chain: string, rule: string): boolean {
  try {
    const own = OWN.map((name) => `:${name} - [0:0]\n`).join("");
    parseRules(`*${table}\n${own}-A ${chain} ${rule}\nCOMMIT\n`, "rules");
    return true;
  } catch {
    return false;
  }
}

interface Choice {
  readonly table: TableName;
  readonly chain: string;
  readonly matches: readonly string[];
  readonly targets: readonly string[];
}

/** What may stand in each chain. A chain of one's own is called from all: it takes what every chain takes. */
const CHOICES: readonly Choice[] = ORDER.flatMap((table) =>
  [...TABLES[table], ...OWN].map((chain) => {
    const takes = (chains: readonly string[] | undefined) => chains === undefined || chains.includes(chain);
    const matches = MATCHES.filter(([text, chains]) => takes(chains) && isAccepted(table, chain, `${text} -j ACCEPT`));
    const targets = TARGETS.flatMap(([text, tables, chains]) =>
      tables.filter((one) => one === table && takes(chains)).map(() => `-j ${text}`),
    );
    const special = WITH_PROTOCOL.filter(([, one, chains]) => one === table && chains.includes(chain));
    const calls = chain === "TWO" ? [] : chain === "ONE" ? ["-j TWO"] : ["-j ONE", "-j TWO", "-g TWO"];
    return {
      table,
      chain,
      matches: matches.map(([text]) => text),
      targets: [...targets, ...special.map(([text]) => text), ...calls, ""],
    };
  }),
);

const rule = ({ table, chain, matches, targets }: Choice): fc.Arbitrary<string> =>
  fc
    .record({
      matches: fc.oneof(
        { weight: 1, arbitrary: fc.constant([]) },
        { weight: 4, arbitrary: fc.tuple(fc.constantFrom(...matches)) },
        { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...matches), fc.constantFrom(...matches)) },
      ),
      target: fc.constantFrom(...targets),
    })
    .map(({ matches, target }) => [...matches, target].filter((part) => part !== "").join(" "))
    .map((text) => `-A ${chain} ${text}`.trim())
    // Two protocols in one rule, for instance.
    .map((text) => (isAccepted(table, chain, text.slice(4 + chain.length)) ? text : `-A ${chain}`));

const FILLED: Readonly<Record<TableName, number>> = { raw: 2, mangle: 4, nat: 5, filter: 8, security: 2 };

function table(name: TableName): fc.Arbitrary<string> {
  const choices = CHOICES.filter((choice) => choice.table === name);
  const one = fc.oneof(...choices.map(rule));
  return fc
    .record({
      rules: fc.array(one, { maxLength: FILLED[name] }),
      policy: fc.constantFrom("ACCEPT", "ACCEPT", "ACCEPT", "DROP"),
    })
    .map(({ rules, policy }) => {
      const own = OWN.filter((chain) =>
        rules.some((text) => text.startsWith(`-A ${chain}`) || text.includes(` ${chain}`)),
      );
      const heads = TABLES[name].map(
        (chain) => `:${chain} ${name === "filter" && chain === "FORWARD" ? policy : "ACCEPT"} [0:0]`,
      );
      return [`*${name}`, ...heads, ...own.map((chain) => `:${chain} - [0:0]`), ...rules, "COMMIT", ""].join("\n");
    });
}

/** A rule file: most have a nat and a filter table. */
export const ruleFile: fc.Arbitrary<string> = fc
  .record({
    raw: fc.option(table("raw"), { freq: 1, nil: "" }),
    mangle: fc.option(table("mangle"), { freq: 1, nil: "" }),
    nat: fc.option(table("nat"), { freq: 4, nil: "" }),
    filter: fc.option(table("filter"), { freq: 4, nil: "" }),
    security: fc.option(table("security"), { freq: 1, nil: "" }),
  })
  .map((tables) => ORDER.map((name) => tables[name]).join(""));
