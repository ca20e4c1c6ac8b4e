import { describe, expect, it } from "vitest";
import { formatTables, parseRules } from "../../../src/kernel/netfilter/rule-text.ts";
import { canonical, expectCanonical, refusal, refusalOf, reprint } from "./one-rule.ts";

const DOCKER = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
`;

describe("parseRules and formatTables", () => {
  it("print a canonical file as it was", () => {
    expect(reprint(DOCKER)).toBe(DOCKER);
  });

  it("print tables in the kernel's order and user-defined chains by name", () => {
    const text =
      "*nat\n:b - [0:0]\n:a1 - [0:0]\n:a-b - [0:0]\n:_a - [0:0]\n:B - [0:0]\nCOMMIT\n*raw\nCOMMIT\n*mangle\nCOMMIT\n";
    const printed = reprint(text).split("\n");
    expect(printed.filter((line) => line.startsWith("*"))).toEqual(["*mangle", "*raw", "*nat"]);
    const chains = printed.filter((line) => line.endsWith(" - [0:0]")).map((line) => line.slice(1).split(" ")[0]);
    expect(chains).toEqual(["B", "_a", "a-b", "a1", "b"]);
  });

  it("make a base chain when it is named first, with policy ACCEPT, and no other", () => {
    const [table] = parseRules("*filter\n:OUTPUT DROP [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n", "f");
    expect([...table!.chains.values()].map(({ name, policy }) => [name, policy])).toEqual([
      ["INPUT", "ACCEPT"],
      ["OUTPUT", "DROP"],
    ]);
  });

  it("keep counters and print them on demand", () => {
    const text =
      "*raw\n:PREROUTING ACCEPT [3:180]\n:OUTPUT ACCEPT [0:0]\n[1:60] -A PREROUTING -i lo -j DROP\n[0:0] -A PREROUTING\nCOMMIT\n";
    expect(reprint(text, true)).toBe(text);
    expect(reprint("*raw\n-A OUTPUT -c 7 80 -j DROP\n-A OUTPUT -c 1,2\nCOMMIT\n", true)).toContain(
      "[7:80] -A OUTPUT -j DROP\n[1:2] -A OUTPUT\n",
    );
  });

  it("skip comments and empty lines and bear carriage returns", () => {
    expect(reprint("# made by hand\r\n\r\n*raw\r\n  # inside\r\n-A OUTPUT -j DROP\r\nCOMMIT\r\n")).toContain(
      "-A OUTPUT -j DROP\n",
    );
  });

  it("insert, create, flush and set policies", () => {
    const text =
      "*filter\n-N foo\n-A foo -j DROP\n-I foo 1 -j ACCEPT\n-I foo -p tcp\n-I foo 4 -j RETURN\n-P INPUT DROP\n-A INPUT\n-F INPUT\nCOMMIT\n";
    expect(reprint(text)).toBe(
      "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:foo - [0:0]\n" +
        "-A foo -p tcp\n-A foo -j ACCEPT\n-A foo -j DROP\n-A foo -j RETURN\nCOMMIT\n",
    );
  });

  it("delete, replace and zero", () => {
    const text =
      "*filter\n-N foo\n-N bar\n[1:2] -A foo -j DROP\n-A foo -p tcp --dport 80 -j ACCEPT\n-A foo -p udp\n-R foo 3 -p icmp\n" +
      "-D foo -p tcp -j ACCEPT -m tcp --dport 80\n-A foo\n-D foo 3\n-X bar\n-Z foo\nCOMMIT\n";
    expect(reprint(text, true)).toContain(":foo - [0:0]\n[0:0] -A foo -j DROP\n[0:0] -A foo -p icmp\nCOMMIT\n");
    expect(reprint("*filter\n-N a\n-N b\n-X\n-A INPUT\nCOMMIT\n")).not.toContain(":a");
  });

  it.each([
    ["raw", "-p udp -j CT --helper tftp", 24, "--helper of CT: no connection is expected because of another"],
    ["raw", "-m helper --helper tftp", 21, "--helper of helper: only ftp announces connections here"],
  ])("take what hopscope does not do, and say so by name and line: %s %s", (table, rule, column, text) => {
    const [parsed] = parseRules(`*${table}\n-A PREROUTING ${rule}\nCOMMIT\n`, "f");
    const [only] = parsed!.chains.get("PREROUTING")!.rules;
    expect(only!.text).toBe(rule);
    expect(only!.notices).toMatchObject([{ text, place: { file: "f", line: 2, column: column + 4 } }]);
  });

  it("empty a chain that is declared again", () => {
    const text = "*filter\n:a - [0:0]\n-A a -j DROP\n-A INPUT -j a\n:a - [0:0]\n-A a -j ACCEPT\nCOMMIT\n";
    expect(reprint(text)).toContain(":a - [0:0]\n-A INPUT -j a\n-A a -j ACCEPT\nCOMMIT\n");
  });

  it("refuse sets that are not there where it is known which are", () => {
    const text = "*filter\n-A INPUT -m set --match-set foo src -j SET --add-set foo src\nCOMMIT\n";
    expect(() => parseRules(text, "f")).not.toThrow();
    expect(() => parseRules(text, "f", { sets: new Map([["foo", 1]]) })).not.toThrow();
    expect(refusalOf(text, { sets: new Map() }).expected).toBe("a set that exists");
  });

  it("print tables as iptables-legacy does on demand, the last one named first", () => {
    const text = "*raw\nCOMMIT\n*nat\nCOMMIT\n*filter\nCOMMIT\n";
    const printed = formatTables(parseRules(text, "f"), { counters: false, backend: "legacy" });
    expect(printed.match(/^\*.*/gm)).toEqual(["*filter", "*nat", "*raw"]);
  });

  it("take a table that comes twice as it stands the second time", () => {
    const text = "*raw\n:PREROUTING DROP [0:0]\n-A OUTPUT -j DROP\nCOMMIT\n*raw\n-A OUTPUT -j ACCEPT\nCOMMIT\n";
    expect(reprint(text)).toBe("*raw\n:PREROUTING DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j ACCEPT\nCOMMIT\n");
  });

  it("resolve jumps to the chains themselves", () => {
    const [table] = parseRules("*filter\n:a - [0:0]\n-A INPUT -g a\nCOMMIT\n", "f");
    const action = table!.chains.get("INPUT")!.rules[0]!.action;
    expect(action).toEqual({ kind: "chain", goto: true, chain: table!.chains.get("a") });
    expect(action.kind === "chain" && action.chain).toBe(table!.chains.get("a"));
  });
});

describe("a rule's generic options", () => {
  it("are printed in one order whatever order they came in", () => {
    expectCanonical(
      [
        [
          "-j ACCEPT -p tcp -o eth1 -i eth0 -d 5.6.7.8 -s 1.2.3.4",
          "-s 1.2.3.4/32 -d 5.6.7.8/32 -i eth0 -o eth1 -p tcp -j ACCEPT",
        ],
        ["-j ACCEPT ! -s 1.2.3.4", "! -s 1.2.3.4/32 -j ACCEPT"],
        [
          "--jump ACCEPT --protocol tcp --in-interface eth0 --source 1.1.1.1 --dst 2.2.2.2",
          "-s 1.1.1.1/32 -d 2.2.2.2/32 -i eth0 -p tcp -j ACCEPT",
        ],
        ["-p tcp -f --dport 80", "-p tcp -f -m tcp --dport 80"],
        "! -f -g foo",
      ],
      { chain: "FORWARD" },
    );
  });

  it("can be joined to their values and cut short", () => {
    expectCanonical([
      ["--jump=ACCEPT --proto=tcp", "-p tcp -j ACCEPT"],
      ["-ptcp -s1.2.3.4 -jACCEPT", "-s 1.2.3.4/32 -p tcp -j ACCEPT"],
      ["-p tcp --dpor 80", "-p tcp -m tcp --dport 80"],
      ["--sou 1.2.3.4", "-s 1.2.3.4/32"],
    ]);
  });

  it("mask addresses and leave out what says nothing", () => {
    expectCanonical([
      ["-s 10.11.12.13/9", "-s 10.0.0.0/9"],
      ["-s 10.11.12.13/255.0.255.0", "-s 10.0.12.0/255.0.255.0"],
      ["-s 10/8", "-s 10.0.0.0/8"],
      ["-s 1.2.3.4/0 -d 0.0.0.0/0 -i + -p all", ""],
      "! -i +",
      ["-p 0", ""],
    ]);
  });

  it("name protocols as iptables does", () => {
    expectCanonical([
      ["-p 47", "-p gre"],
      ["-p TCP", "-p tcp"],
      ["-p icmpv6", "-p ipv6-icmp"],
      "-p 250",
      "! -p udplite",
      "-p sctp",
      "-p esp",
      "-p ah",
    ]);
  });

  it("make a rule of every pair of listed addresses", () => {
    const text = "*filter\n-A INPUT -s 1.2.3.4,5.6.7.8 -d 1.1.1.1,2.2.2.2 -m limit\nCOMMIT\n";
    const rules = parseRules(text, "f")[0]!.chains.get("INPUT")!.rules;
    expect(rules.map((rule) => rule.text.split(" -m")[0])).toEqual([
      "-s 1.2.3.4/32 -d 1.1.1.1/32",
      "-s 1.2.3.4/32 -d 2.2.2.2/32",
      "-s 5.6.7.8/32 -d 1.1.1.1/32",
      "-s 5.6.7.8/32 -d 2.2.2.2/32",
    ]);
    expect(new Set(rules.map((rule) => rule.matches[0])).size).toBe(4);
  });

  it("leave rules for IPv6 out", () => {
    expect(reprint("*raw\n-A OUTPUT -6 -j DROP\n-A OUTPUT -4 -j ACCEPT\nCOMMIT\n")).toContain(
      ":OUTPUT ACCEPT [0:0]\n-A OUTPUT -j ACCEPT\nCOMMIT",
    );
  });

  it("load the protocol's match where its first option stands", () => {
    expectCanonical([
      ["-p tcp -m comment --comment foo --dport 22", "-p tcp -m comment --comment foo -m tcp --dport 22"],
      ["-m state --state NEW -p tcp --dport 22 -j ACCEPT", "-p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT"],
      "-p tcp -m tcp -m tcp --dport 80",
    ]);
  });

  it("go to the match that was loaded last where two have the same option", () => {
    expect(canonical("-m mark --mark 1 -m connmark --mark 2")).toBe("-m mark --mark 0x1 -m connmark --mark 0x2");
  });
});

describe("bad rule text is refused", () => {
  it.each([
    ["-p tcp --dport http8 -j ACCEPT", '16 "http8" | a port (0-65535 or a service name)'],
    ["-p foo", '4 "foo" | a protocol (0-255, a name such as tcp, or all)'],
    ["-s 1.2.3.4/33", '12 "33" | a prefix length (0-32)'],
    ["-s 1.2.3.4,x", '12 "x" | an IPv4 address'],
    ["! -s 1.2.3.4,5.6.7.8", '6 "1.2.3.4,5.6.7.8" | one address behind !'],
    ["! -s 0.0.0.0/0", '6 "0.0.0.0/0" | an address that is not all of them behind !'],
    ["-s ! 1.2.3.4", '4 "!" | a value for --source; ! stands before the option'],
    ["! -p all", '6 "all" | a protocol other than all behind !'],
    ["! ! -s 1.2.3.4", '3 "!" | an option after one !'],
    ["-j ACCEPT !", "12 the end of the line | an option that ! inverts"],
    ["! -j ACCEPT", '3 "-j" | an option that can be inverted'],
    ["-p", "3 the end of the line | a value for --protocol"],
    ["-j", "3 the end of the line | a value for --jump"],
    ["-j ACCEPT extra", '11 "extra" | an option'],
    ["-j ACCEPT -j DROP", '11 "-j" | --jump once'],
    ["-g foo -j bar", '8 "-j" | --jump once'],
    ["-p tcp -s 1.1.1.1 -s 2.2.2.2", '19 "-s" | --source once'],
    [
      "-i thisinterfaceistoolong0",
      '4 "thisinterfaceistoolong0" | a device name (1 to 15 characters, a + at the end for any ending)',
    ],
    ['-i ""', '4 "" | a device name (1 to 15 characters, a + at the end for any ending)'],
    ["-m nosuch", '4 "nosuch" | a match'],
    ["-m nfacct --nfacct-name a", '4 "nfacct" | a modelled match; hopscope does not model nfacct yet'],
    ["-j ULOG", '4 "ULOG" | a modelled target; hopscope does not model ULOG yet'],
    ["-j NOSUCH", '4 "NOSUCH" | a target or a chain of this table'],
    ["-g ACCEPT", '4 "ACCEPT" | a chain of this table'],
    ["-j OUTPUT", '4 "OUTPUT" | a target or a user-defined chain'],
    ["--ctstate NEW", '1 "--ctstate" | -m conntrack before --ctstate'],
    ["--to-source 1.1.1.1", '1 "--to-source" | -j SNAT before --to-source'],
    ["--dport 5 -p tcp", '1 "--dport" | -m tcp before --dport'],
    ["--nosuch 5", '1 "--nosuch" | an option of a rule or of its matches and target'],
    ["-p icmp --icmp-type time", '21 "time" | one of time-exceeded, timestamp-request, timestamp-reply'],
    ["-p tcp --dport 80 --dport 81", '19 "--dport" | --dport once'],
    ["-c 1", "5 the end of the line | a count of bytes"],
    ["-c 1,", '6 "" | a count of bytes (0-9007199254740991)'],
    ["-o eth0", '1 "-o" | no --out-interface in INPUT'],
    ["-w -j ACCEPT", '1 "-w" | an option of a rule'],
  ])("as %s is", (rule, expected) => {
    expect(refusal(rule)).toBe(expected);
  });

  it("where a device is named in a chain that cannot know it", () => {
    expect(refusal("-i eth0", { chain: "OUTPUT" })).toBe('1 "-i" | no --in-interface in OUTPUT');
    expect(refusal("-i eth0", { table: "nat", chain: "POSTROUTING" })).toBe(
      '1 "-i" | no --in-interface in POSTROUTING',
    );
    expect(refusal("-o eth0", { table: "raw", chain: "PREROUTING" })).toBe('1 "-o" | no --out-interface in PREROUTING');
  });

  it("where a target stands in the wrong table or hook", () => {
    expect(refusal("-j SNAT --to-source 1.1.1.1")).toBe('4 "SNAT" | SNAT only in table nat');
    expect(refusal("-j SNAT --to-source 1.1.1.1", { table: "nat", chain: "PREROUTING" })).toBe(
      '4 "SNAT" | SNAT only in chains that are reached from POSTROUTING, INPUT',
    );
    expect(refusal("-j DNAT --to-destination 1.1.1.1", { table: "nat", chain: "POSTROUTING" })).toBe(
      '4 "DNAT" | DNAT only in chains that are reached from PREROUTING, OUTPUT',
    );
    expect(refusal("-j REJECT", { table: "mangle", chain: "FORWARD" })).toBe(
      '4 "REJECT" | REJECT only in table filter',
    );
    expect(refusal("-j DROP", { table: "nat", chain: "OUTPUT" })).toBe(
      '4 "DROP" | no DROP in table nat, which is not for filtering',
    );
  });

  it("where a user-defined chain is reached from a hook in which its target cannot work", () => {
    const chain = "*nat\n:a - [0:0]\n-A a -j MASQUERADE\n";
    expect(() => parseRules(`${chain}-A POSTROUTING -j a\nCOMMIT\n`, "f")).not.toThrow();
    expect(() => parseRules(`${chain}COMMIT\n`, "f")).not.toThrow();
    const error = refusalOf(`${chain}-A OUTPUT -j a\nCOMMIT\n`);
    expect([error.place.line, error.place.column, error.found]).toEqual([3, 9, '"MASQUERADE"']);
  });

  it("where chains lead back to themselves", () => {
    const error = refusalOf("*filter\n:a - [0:0]\n:b - [0:0]\n-A a -j b\n-A b -g a\nCOMMIT\n");
    expect(error.message).toBe('rules.v4:5:9: found "a", expected a chain that does not lead back to itself');
  });

  it.each([
    ["*filter\n-A INPUT -j ACCEPT\n", "3:1 the end of the file | COMMIT"],
    ["*filter\n-A INPUT -j ACCEPT", "3:1 the end of the file | COMMIT"],
    ["-A INPUT -j ACCEPT\n", '1:1 "-A" | a table ("*filter")'],
    ["*foo\nCOMMIT\n", '1:2 "foo" | a table (raw, mangle, nat, filter, security)'],
    ["*filter\nCOMMIT now\n", '2:8 "now" | nothing after COMMIT'],
    ["*filter\n:u ACCEPT [0:0]\nCOMMIT\n", '2:4 "ACCEPT" | - (a user-defined chain has no policy)'],
    ["*filter\n:u\nCOMMIT\n", "2:3 the end of the line | a policy (ACCEPT, DROP or -)"],
    ["*filter\n:INPUT RETURN [0:0]\nCOMMIT\n", '2:8 "RETURN" | a policy (ACCEPT or DROP)'],
    ["*filter\n:ACCEPT - [0:0]\nCOMMIT\n", '2:2 "ACCEPT" | a chain name that is no verdict'],
    ["*filter\n[1] -A INPUT\nCOMMIT\n", '2:1 "[1]" | counters ([packets:bytes])'],
    ["*filter\n-A nope -j ACCEPT\nCOMMIT\n", '2:4 "nope" | a chain of this table'],
    ["*filter\n-A\nCOMMIT\n", "2:3 the end of the line | a chain of this table"],
    ["*filter\n-I INPUT 2 -j ACCEPT\nCOMMIT\n", '2:10 "2" | a rule number (1-1)'],
    ["*filter\n-N a\n-N a\nCOMMIT\n", '3:4 "a" | a chain that does not exist yet'],
    ["*filter\n-E a b\nCOMMIT\n", '2:1 "-E" | a command that hopscope models; it does not model -E in rule text yet'],
    ["*filter\n-D INPUT 1\nCOMMIT\n", '2:10 "1" | a chain with rules'],
    ["*filter\n-A INPUT\n-R INPUT 2 -j DROP\nCOMMIT\n", '3:10 "2" | a rule number (1-1)'],
    ["*filter\n-A INPUT -j DROP\n-D INPUT -j ACCEPT\nCOMMIT\n", '3:10 "-j" | a rule of this chain'],
    ["*filter\n-N a\n-A INPUT -j a\n-X a\nCOMMIT\n", '4:4 "a" | a chain that no rule leads to, as one does to a'],
    ["*filter\n-A INPUT -j late\n:late - [0:0]\nCOMMIT\n", '2:13 "late" | a target or a chain of this table'],
  ])("as a file: %j", (text, expected) => {
    const { place, found, expected: wanted } = refusalOf(text);
    expect(`${place.line}:${place.column} ${found} | ${wanted}`).toBe(expected);
  });
});

describe("a word that every object knows", () => {
  it.each([
    "-p constructor",
    "-p tcp --dport constructor",
    "-p icmp --icmp-type constructor",
    "-j LOG --log-level constructor",
    "-m addrtype --dst-type constructor",
    "-m constructor",
    "-j constructor",
  ])("is as unknown as any other: %s", (rule) => {
    expect(refusal(rule)).toContain('"constructor"');
  });
});
