/** Commands that people try next and hopscope has not, each with what does the same here. */
export const NOT_HERE: Readonly<Record<string, string>> = {
  apk: "nothing is installed here; the tools that there are stand in help",
  apt: "nothing is installed here; the tools that there are stand in help",
  arping: "ping, and then ip neigh or arp -n",
  bash: "you are in a shell already; enter NAME goes elsewhere",
  curlie: "curl",
  ethtool: "ip -s link; no offload changes a frame here",
  "docker-compose": "hopscope up FILE",
  host: "nslookup or dig",
  ifdown: "ip link set DEVICE down",
  ifup: "ip link set DEVICE up",
  ip6tables: "iptables; packets are IPv4 here",
  "iptables-restore": "rules: of the scenario, and iptables -A, -I and -D",
  iftop: "tcpdump -n -i DEVICE, and ip -s link",
  iperf3: "curl of an http-server -s BYTES",
  kill: "Ctrl-C",
  less: "head, tail and grep behind |",
  lsof: "ss -tunlp",
  man: "help",
  more: "head, tail and grep behind |",
  mtr: "traceroute",
  nano: "files are in the scenario (files:)",
  nc: "tcp-client, udp-client, tcp-echo-server and http-server",
  ncat: "tcp-client, udp-client, tcp-echo-server and http-server",
  nft: "iptables-save prints the same rules",
  nmap: "tcp-client ADDRESS PORT",
  nsenter: "enter NAME",
  ping6: "ping; packets are IPv4 here",
  sh: "you are in a shell already; enter NAME goes elsewhere",
  socat: "tcp-client, udp-client and docker-proxy",
  ssh: "enter NAME",
  strace: "trace, behind the command",
  su: "everybody is root here",
  systemctl: "daemons start with the scenario",
  tc: "delay, loss, mtu and others of a link are in the scenario (links:)",
  telnet: "tcp-client ADDRESS PORT",
  tracepath: "ping -M do -s BYTES, and traceroute",
  tshark: "tcpdump -n -i DEVICE, and hopscope run --pcap FILE",
  unshare: "namespaces are in the scenario (namespaces:)",
  vi: "files are in the scenario (files:)",
  vim: "files are in the scenario (files:)",
  wget: "curl",
};

/** The command that differs from `name` by one slip of the fingers; null for none. */
export function nearest(name: string, commands: readonly string[]): string | null {
  const close = commands.filter((command) => isOneSlip(name, command));
  return close[0] ?? null;
}

/** One letter more, less or other, or two that changed places. */
function isOneSlip(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1 || a.length < 2) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start++;
  const [left, right] = [a.slice(start), b.slice(start)];
  if (left.length === right.length)
    return (
      left.slice(1) === right.slice(1) ||
      left.slice(2) + (left[1] ?? "") + left[0] === right.slice(2) + right.slice(0, 2)
    );
  return left.length > right.length ? left.slice(1) === right : left === right.slice(1);
}
