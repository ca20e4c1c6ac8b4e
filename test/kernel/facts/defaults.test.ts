import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Conf, type NetKey, Sysctls } from "../../../src/kernel/sysctl.ts";
import { Lab } from "../../../src/scenario/lab.ts";
import type { LabStep } from "../../../src/scenario/lab-case.ts";
import { parseIpv4 } from "../../../src/wire/address.ts";
import { World } from "../../../src/world/world.ts";
import {
  CLIENT,
  dropsOf,
  fromClient,
  fromServer,
  INNER,
  OUTER,
  routerCase,
  runRouter,
  SERVER,
  sleep,
  toClient,
  toServer,
  udp,
} from "./router.ts";

/** From a new network namespace of Linux 6.18. The type makes a missing or an unmodelled key an error. */
const NET: Record<NetKey, number> = {
  "net.bridge.bridge-nf-call-arptables": 1,
  "net.bridge.bridge-nf-call-iptables": 1,
  "net.bridge.bridge-nf-call-ip6tables": 1,
  "net.core.somaxconn": 4096,
  "net.ipv4.icmp_echo_ignore_all": 0,
  "net.ipv4.icmp_echo_ignore_broadcasts": 1,
  "net.ipv4.icmp_errors_use_inbound_ifaddr": 0,
  "net.ipv4.icmp_msgs_burst": 50,
  "net.ipv4.icmp_msgs_per_sec": 1000,
  "net.ipv4.icmp_ratelimit": 1000,
  "net.ipv4.icmp_ratemask": 6168,
  "net.ipv4.ip_default_ttl": 64,
  "net.ipv4.ip_forward_update_priority": 1,
  "net.ipv4.ip_forward_use_pmtu": 0,
  "net.ipv4.ip_no_pmtu_disc": 0,
  "net.ipv4.ip_nonlocal_bind": 0,
  "net.ipv4.ip_unprivileged_port_start": 1024,
  "net.ipv4.ipfrag_high_thresh": 4_194_304,
  "net.ipv4.ipfrag_max_dist": 64,
  "net.ipv4.ipfrag_time": 30,
  "net.ipv4.neigh.default.base_reachable_time_ms": 30_000,
  "net.ipv4.neigh.default.delay_first_probe_time": 5,
  "net.ipv4.neigh.default.gc_stale_time": 60,
  "net.ipv4.neigh.default.locktime": 100,
  "net.ipv4.neigh.default.mcast_solicit": 3,
  "net.ipv4.neigh.default.retrans_time_ms": 1000,
  "net.ipv4.neigh.default.ucast_solicit": 3,
  "net.ipv4.neigh.default.unres_qlen_bytes": 212_992,
  "net.ipv4.route.min_pmtu": 552,
  "net.ipv4.route.mtu_expires": 600,
  "net.ipv4.tcp_abort_on_overflow": 0,
  "net.ipv4.tcp_ecn": 2,
  "net.ipv4.tcp_fin_timeout": 60,
  "net.ipv4.tcp_keepalive_intvl": 75,
  "net.ipv4.tcp_keepalive_probes": 9,
  "net.ipv4.tcp_keepalive_time": 7200,
  "net.ipv4.tcp_retries1": 3,
  "net.ipv4.tcp_retries2": 15,
  "net.ipv4.tcp_sack": 1,
  "net.ipv4.tcp_syn_linear_timeouts": 4,
  "net.ipv4.tcp_syn_retries": 6,
  "net.ipv4.tcp_synack_retries": 5,
  "net.ipv4.tcp_syncookies": 1,
  "net.ipv4.tcp_timestamps": 1,
  "net.ipv4.tcp_tw_reuse": 2,
  "net.ipv4.tcp_window_scaling": 1,
  "net.netfilter.nf_conntrack_acct": 0,
  "net.netfilter.nf_conntrack_buckets": 262_144,
  "net.netfilter.nf_conntrack_checksum": 1,
  "net.netfilter.nf_conntrack_generic_timeout": 600,
  "net.netfilter.nf_conntrack_gre_timeout": 30,
  "net.netfilter.nf_conntrack_gre_timeout_stream": 180,
  "net.netfilter.nf_conntrack_icmp_timeout": 30,
  "net.netfilter.nf_conntrack_max": 262_144,
  "net.netfilter.nf_conntrack_sctp_timeout_closed": 10,
  "net.netfilter.nf_conntrack_sctp_timeout_cookie_echoed": 3,
  "net.netfilter.nf_conntrack_sctp_timeout_cookie_wait": 3,
  "net.netfilter.nf_conntrack_sctp_timeout_established": 210,
  "net.netfilter.nf_conntrack_sctp_timeout_heartbeat_sent": 30,
  "net.netfilter.nf_conntrack_sctp_timeout_shutdown_ack_sent": 3,
  "net.netfilter.nf_conntrack_sctp_timeout_shutdown_recd": 3,
  "net.netfilter.nf_conntrack_sctp_timeout_shutdown_sent": 3,
  "net.netfilter.nf_conntrack_tcp_be_liberal": 0,
  "net.netfilter.nf_conntrack_tcp_ignore_invalid_rst": 0,
  "net.netfilter.nf_conntrack_tcp_loose": 1,
  "net.netfilter.nf_conntrack_tcp_max_retrans": 3,
  "net.netfilter.nf_conntrack_tcp_timeout_close": 10,
  "net.netfilter.nf_conntrack_tcp_timeout_close_wait": 60,
  "net.netfilter.nf_conntrack_tcp_timeout_established": 432_000,
  "net.netfilter.nf_conntrack_tcp_timeout_fin_wait": 120,
  "net.netfilter.nf_conntrack_tcp_timeout_last_ack": 30,
  "net.netfilter.nf_conntrack_tcp_timeout_max_retrans": 300,
  "net.netfilter.nf_conntrack_tcp_timeout_syn_recv": 60,
  "net.netfilter.nf_conntrack_tcp_timeout_syn_sent": 120,
  "net.netfilter.nf_conntrack_tcp_timeout_time_wait": 120,
  "net.netfilter.nf_conntrack_tcp_timeout_unacknowledged": 300,
  "net.netfilter.nf_conntrack_udp_timeout": 30,
  "net.netfilter.nf_conntrack_udp_timeout_stream": 120,
};

/** `net.ipv4.conf.default.*`. */
const CONF: Conf = {
  accept_local: 0,
  accept_redirects: 1,
  accept_source_route: 1,
  arp_accept: 0,
  arp_announce: 0,
  arp_filter: 0,
  arp_ignore: 0,
  bc_forwarding: 0,
  drop_gratuitous_arp: 0,
  drop_unicast_in_l2_multicast: 0,
  forwarding: 0,
  log_martians: 0,
  promote_secondaries: 0,
  proxy_arp: 0,
  route_localnet: 0,
  rp_filter: 0,
  secure_redirects: 1,
  send_redirects: 1,
  shared_media: 1,
  src_valid_mark: 0,
};

/** A value of one device or of `all`, with the other side set so that it decides alone. */
function confOf(which: "all" | "default", key: keyof Conf): number {
  const sysctls = new Sysctls();
  if (which === "default") {
    sysctls.set(`net.ipv4.conf.all.${key}`, key === "accept_source_route" || key === "bc_forwarding" ? 1 : 0);
    if (key === "forwarding") sysctls.set("net.ipv4.conf.all.forwarding", 0);
    return sysctls.effective("eth0", key);
  }
  sysctls.set(`net.ipv4.conf.eth0.${key}`, key === "accept_source_route" || key === "bc_forwarding" ? 1 : 0);
  return sysctls.effective("eth0", key);
}

describe("10 Defaults, as ../oracle/sysctl-defaults-6.18.txt has them", () => {
  const fresh = new World(1).addNamespace("n").net.sysctls;

  test.each(Object.entries(NET) as [NetKey, number][])("%s %i", (key, value) => {
    expect(fresh.get(key)).toBe(value);
  });

  test.each(Object.entries(CONF) as [keyof Conf, number][])("net.ipv4.conf.default.%s %i", (key, value) => {
    expect(confOf("default", key)).toBe(value);
  });

  test.each([
    "send_redirects",
    "accept_redirects",
    "secure_redirects",
    "shared_media",
    "rp_filter",
    "forwarding",
  ] as const)("net.ipv4.conf.all.%s is that of default", (key) => {
    expect(confOf("all", key)).toBe(CONF[key]);
  });

  test("net.ipv4.conf.all.accept_source_route 0, where default has 1", () => {
    expect(confOf("all", "accept_source_route")).toBe(0);
  });

  test("local_port_range 32768-60999", () => {
    expect(fresh.localPorts).toEqual([32_768, 60_999]);
    expect(fresh.read("net.ipv4.ip_local_port_range")).toBe("32768\t60999");
  });

  test("tcp_rmem 4096 131072 33554432, tcp_wmem 4096 16384 4194304", () => {
    expect(fresh.read("net.ipv4.tcp_rmem")).toBe("4096\t131072\t33554432");
    expect(fresh.read("net.ipv4.tcp_wmem")).toBe("4096\t16384\t4194304");
  });

  test("tcp_congestion_control cubic, what a kernel has that was built without another choice", () => {
    expect(fresh.read("net.ipv4.tcp_congestion_control")).toBe("cubic");
  });

  const live = liveNamespace([
    ...Object.keys(NET),
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.ip_local_port_range",
  ]);
  test.skipIf(live.missing !== null)(`are those of a new namespace of this machine's kernel${live.skipped}`, () => {
    for (const [key, value] of live.values) expect(`${key} ${fresh.read(key)}`).toBe(`${key} ${value}`);
    expect(live.values.size).toBeGreaterThan(60);
  });
});

/** What a new network namespace of this machine's kernel says; keys that it does not have are left out. */
function liveNamespace(keys: readonly string[]) {
  const release = /^6\.18\./.test(readRelease());
  const files = keys.map((key) => `/proc/sys/${key.replaceAll(".", "/")}`);
  const { status, stdout } = release
    ? spawnSync("unshare", ["-n", "grep", "-H", "", ...files], { encoding: "utf8" })
    : { status: 3, stdout: "" };
  const missing = !release
    ? "this is not Linux 6.18"
    : status === null || stdout === ""
      ? "no right to make a namespace"
      : null;
  const values = new Map<string, string>();
  for (const line of stdout.trimEnd().split("\n")) {
    const [, path = "", value = ""] = /^\/proc\/sys\/([^:]+):(.*)$/.exec(line) ?? [];
    if (path !== "") values.set(path.replaceAll("/", "."), value);
  }
  return { missing, skipped: missing === null ? "" : ` (skipped: ${missing})`, values };
}

function readRelease(): string {
  return existsSync("/proc/sys/kernel/osrelease") ? readFileSync("/proc/sys/kernel/osrelease", "utf8") : "";
}

describe("10 Defaults at work", () => {
  test("ip_forward 0", () => {
    const sent = (sysctls: Record<string, number>) =>
      toServer(runRouter([fromClient(udp(`${CLIENT}:1`, `${SERVER}:2`))], { sysctls }).steps[0]!).length;
    const { namespaces, ...rest } = routerCase([fromClient(udp(`${CLIENT}:1`, `${SERVER}:2`))]);
    const { "net.ipv4.ip_forward": _, ...sysctls } = namespaces["router"]!.sysctls!;
    const untouched = { ...rest, namespaces: { ...namespaces, router: { ...namespaces["router"], sysctls } } };
    expect([sent({}), sent({ "net.ipv4.ip_forward": 0 }), toServer(new Lab(untouched).run().steps[0]!).length]).toEqual(
      [1, 0, 0],
    );
  });

  test("default_ttl 64", () => {
    const sent = (sysctls: Record<string, number>) =>
      toClient(runRouter([fromClient(udp(`${CLIENT}:1`, `${INNER}:2`))], { sysctls }).steps[0]!);
    expect(sent({})).toEqual([`icmp ${INNER} > ${CLIENT} 3/3 ttl 64`]);
    expect(sent({ "net.ipv4.ip_default_ttl": 99 })).toEqual([`icmp ${INNER} > ${CLIENT} 3/3 ttl 99`]);
  });

  test("local_port_range 32768-60999: every port of it once, and no other", { timeout: 60_000 }, () => {
    const { udp: sockets } = new World(1).addNamespace("n");
    const ports = new Set<number>();
    for (let i = 0; i < 28_232; i++) {
      const socket = sockets.open();
      expect(socket.bind(0, 0)).toBeNull();
      ports.add(socket.port);
    }
    expect([ports.size, Math.min(...ports), Math.max(...ports)]).toEqual([28_232, 32_768, 60_999]);
    expect(sockets.open().bind(0, 0)).toBe("EADDRINUSE");
  });

  const first: LabStep = fromClient({
    ip: { src: CLIENT, dst: INNER, id: 9, mf: true, slice: [0, 16] },
    udp: { sport: 1, dport: 2, size: 24 },
  });
  const second: LabStep = fromClient({
    ip: { src: CLIENT, dst: INNER, id: 9, off: 16, slice: [16, 32] },
    udp: { sport: 1, dport: 2, size: 24 },
  });

  test("ipfrag_time 30", () => {
    const waited = (ms: number) => toClient(runRouter([first, sleep(ms), second]).steps[2]!);
    expect(waited(29_999)).toEqual([`icmp ${INNER} > ${CLIENT} 3/3 ttl 64`]);
    expect(waited(30_001)).toEqual([]);
    const { steps } = runRouter([first, sleep(29_999), sleep(2)]);
    expect(dropsOf(steps[1]!)).toEqual([]);
    expect(dropsOf(steps[2]!)).toContain("FRAG_REASM_TIMEOUT");
    expect(toClient(steps[2]!)).toEqual([`icmp ${INNER} > ${CLIENT} 11/1 ttl 64`]);
  });

  /** What the router believes of the path to the server after a router told it of an MTU. */
  function pathMtu(told: number, after: number): number {
    const quoted = udp(`${OUTER}:5000`, `${SERVER}:53`, {}, 1400);
    const error = { ip: { src: "10.0.2.77", dst: OUTER }, icmp: { type: 3, code: 4, mtu: told, inner: quoted } };
    const steps: LabStep[] = [
      { op: "udp", ns: "router", id: "u", bind: ["0.0.0.0", 5000] },
      fromServer(error),
      sleep(after),
    ];
    const lab = new Lab(routerCase(steps));
    lab.run();
    return lab.world.host("router").ping.path(parseIpv4(SERVER)).mtu;
  }

  test("min_pmtu 552", () => {
    expect([1000, 553, 552, 551, 300].map((told) => pathMtu(told, 1))).toEqual([1000, 553, 552, 552, 552]);
  });

  test("mtu_expires 600", () => {
    expect([pathMtu(1000, 599_999), pathMtu(1000, 600_001)]).toEqual([1000, 1500]);
  });
});
