import type { Errno } from "../kernel/protocol.ts";
import { type Mac, type Prefix, parseIpv4, parseMac, parsePrefix } from "../wire/address.ts";
import * as icmp from "../wire/icmp.ts";

/**
 * What the tools of this kind do differently, as data. Numbers of vpnkit are those of `configuration.ml`, `slirp.ml`,
 * `hostnet_udp.ml`, `hostnet_icmp.ml` and `hostnet_dhcp.ml`; times are seconds.
 */
export interface Preset {
  readonly name: PresetName;
  readonly addresses: Addresses;
  readonly behaviour: Behaviour;
}

/** Where things are in the guests' network. */
export interface Addresses {
  readonly network: Prefix;
  readonly gateway: number;
  /** Stands for the host's loopback; null where none does. */
  readonly host: number | null;
  readonly dns: number;
  /** The first and the last address for guests. */
  readonly guests: readonly [number, number];
  /** The MAC address of all that the translator plays. */
  readonly mac: Mac;
}

/** What the guest is told: RST, an ICMP unreachable of this code, or nothing. */
export type Answer = "reset" | "silence" | { readonly code: number };

/** By the errno of a call; `other` for all that are not named. */
export type Answers = { readonly other: Answer } & { readonly [E in Errno]?: Answer };

export interface Behaviour {
  /** Bytes of network payload. */
  readonly mtu: number;
  /** Time to live of what the translator sends. */
  readonly ttl: number;
  /** It is a router that can be seen: it takes one off the guest's TTL and says when none is left. */
  readonly countsAsHop: boolean;
  /** Fragments of the guest become datagrams again; else each is read as if it were whole. */
  readonly reassembles: boolean;
  /** What goes to every other guest: broadcasts, and frames for groups and for MAC addresses that nobody has shown yet. */
  readonly floods: { readonly broadcast: boolean; readonly unknown: boolean };
  /** The MAC address of an answer to ARP holds the address that was asked for behind 52:55. */
  readonly macFromAddress: boolean;
  readonly endpoints: {
    /** Without a frame for this long it goes, and its connections with it; 0 for never. */
    readonly idle: number;
    readonly sweep: number;
    readonly most: number;
  };
  readonly tcp: {
    /** SYNs that wait for the host's connect; more are ignored. 0 for no limit. */
    readonly halfOpen: number;
    /** Connections; more are reset. 0 for no limit. */
    readonly most: number;
    /** The guest's TTL is that of the host's segments. */
    readonly carriesTtl: boolean;
    /** How long the host may take to connect; 0 leaves it to the host. */
    readonly connectTimeout: number;
    /** What the guest is told when connect fails at once, and when it fails later. */
    readonly refusedAtOnce: Answers;
    readonly refusedLater: Answers;
  };
  readonly udp: {
    /** One socket for a guest's address and port whatever its peer, which anybody may answer; else one for each peer. */
    readonly mapping: "endpoint-independent" | "address-and-port-dependent";
    readonly idle: number;
    /** For flows to port 53, once they are answered. */
    readonly idleDns: number;
    /** Idle flows are looked for this often; 0 finds them at once. */
    readonly sweep: number;
    /** Flows; at the limit the longest unused go until `keep` are left. 0 for no limit. */
    readonly most: number;
    readonly keep: number;
    /** Bytes of data that may go out with DF; more are answered with fragmentation needed. 0 for no limit. */
    readonly mostWithDf: number;
    readonly checksums: boolean;
    /** What the guest is told when the host refuses to send. */
    readonly refused: Answers;
  };
  readonly icmp: {
    readonly idle: number;
    /** The guest's TTL goes out with its echo requests. */
    readonly carriesTtl: boolean;
  };
  /** Types of ICMP errors from outside that reach the guest, by the protocol they are about. */
  readonly relays: {
    readonly icmp: readonly number[];
    readonly udp: readonly number[];
    readonly tcp: readonly number[];
  };
  readonly dhcp: {
    readonly lease: number;
    /** Option 26. */
    readonly mtu: boolean;
    /** Option 42, the gateway. */
    readonly ntp: boolean;
    /** Option 15. */
    readonly domain: string | null;
    /** How many addresses there are for one guest's clients. */
    readonly pool: number;
    /** A client that asks for another address hears no. */
    readonly refuses: boolean;
  };
  readonly dns: {
    /** How long the upstream servers have, and how often they are asked. */
    readonly timeout: number;
    readonly resend: number;
    /** Longer answers by UDP are cut. */
    readonly longestUdp: number;
    /** What the guest hears when no server answers. */
    readonly failure: "silence" | "NXDOMAIN" | "SERVFAIL";
    /** Answers by UDP are written anew from their answer section: what else they say, such as NXDOMAIN, is lost. */
    readonly marshalsAgain: boolean;
    /** In its own answers names point at where they stood before. */
    readonly compressed: boolean;
    /** Questions for IPv6 addresses have no answers. */
    readonly hidesAaaa: boolean;
    /** Questions go to the first server as any datagram or connection would. */
    readonly redirects: boolean;
    /** Names that the translator knows: the host's, the gateway's. */
    readonly hostNames: readonly string[];
    readonly gatewayNames: readonly string[];
  };
  /** Ports of the gateway where nothing is served refuse, else they are silent. */
  readonly refusesClosedPorts: boolean;
  /** How a published port reaches the guest. */
  readonly publish: "forwarder" | "from the gateway" | "from the client";
}

const RESET: Answers = { other: "reset" };
const SILENCE: Answers = { other: "silence" };
const TRUTHFUL: Answers = {
  ENETUNREACH: { code: icmp.NET_UNREACHABLE },
  EHOSTUNREACH: { code: icmp.HOST_UNREACHABLE },
  EHOSTDOWN: { code: icmp.HOST_UNREACHABLE },
  ENETDOWN: { code: icmp.NET_UNREACHABLE },
  ENOPROTOOPT: { code: icmp.PROTOCOL_UNREACHABLE },
  EACCES: { code: icmp.ADMIN_PROHIBITED },
  EPERM: { code: icmp.ADMIN_PROHIBITED },
  other: { code: icmp.HOST_UNREACHABLE },
};

const addresses = (
  network: string,
  gateway: string,
  rest: { host: string; dns: string; guests: [string, string] },
) => ({
  network: parsePrefix(network),
  gateway: parseIpv4(gateway),
  host: parseIpv4(rest.host),
  dns: parseIpv4(rest.dns),
  guests: [parseIpv4(rest.guests[0]), parseIpv4(rest.guests[1])] as const,
});

const VPNKIT: Preset = {
  name: "vpnkit",
  addresses: {
    ...addresses("192.168.65.0/24", "192.168.65.1", {
      host: "192.168.65.2",
      dns: "192.168.65.1",
      guests: ["192.168.65.3", "192.168.65.254"],
    }),
    mac: parseMac("f6:16:36:bc:f9:c6"),
  },
  behaviour: {
    mtu: 1500,
    // Mirage's IPv4 writes 38 where nobody says otherwise.
    ttl: 38,
    countsAsHop: false,
    reassembles: false,
    floods: { broadcast: false, unknown: true },
    macFromAddress: false,
    // Unlike vpnkit, which has no limit to endpoints, so that a scan cannot fill the memory.
    endpoints: { idle: 300, sweep: 30, most: 16_384 },
    tcp: {
      halfOpen: 0,
      most: 0,
      carriesTtl: false,
      connectTimeout: 0,
      refusedAtOnce: RESET,
      refusedLater: RESET,
    },
    udp: {
      mapping: "endpoint-independent",
      idle: 60,
      idleDns: 60,
      sweep: 60,
      most: 1024,
      keep: 768,
      mostWithDf: 1452,
      checksums: false,
      refused: SILENCE,
    },
    icmp: { idle: 60, carriesTtl: true },
    relays: { icmp: [icmp.TIME_EXCEEDED], udp: [icmp.UNREACHABLE, icmp.TIME_EXCEEDED], tcp: [] },
    dhcp: { lease: 0x7fffffff, mtu: false, ntp: true, domain: "localdomain", pool: 1, refuses: true },
    dns: {
      timeout: 5,
      resend: 1,
      longestUdp: 512,
      failure: "silence",
      marshalsAgain: true,
      compressed: true,
      hidesAaaa: false,
      redirects: false,
      hostNames: ["host.internal", "host.docker.internal"],
      gatewayNames: ["gateway.internal", "gateway.docker.internal"],
    },
    refusesClosedPorts: false,
    publish: "forwarder",
  },
};

const GVPROXY: Preset = {
  name: "gvproxy",
  addresses: {
    ...addresses("192.168.127.0/24", "192.168.127.1", {
      host: "192.168.127.254",
      dns: "192.168.127.1",
      guests: ["192.168.127.2", "192.168.127.253"],
    }),
    mac: parseMac("5a:94:ef:e4:0c:dd"),
  },
  behaviour: {
    mtu: 1500,
    ttl: 64,
    countsAsHop: false,
    reassembles: true,
    floods: { broadcast: true, unknown: false },
    macFromAddress: false,
    endpoints: { idle: 0, sweep: 0, most: 16_384 },
    tcp: {
      halfOpen: 10,
      most: 0,
      carriesTtl: false,
      connectTimeout: 0,
      refusedAtOnce: RESET,
      refusedLater: RESET,
    },
    udp: {
      mapping: "address-and-port-dependent",
      idle: 90,
      idleDns: 90,
      sweep: 0,
      // Unlike gvproxy, which has no limit.
      most: 65_536,
      keep: 49_152,
      mostWithDf: 0,
      checksums: true,
      refused: SILENCE,
    },
    icmp: { idle: 5, carriesTtl: false },
    relays: { icmp: [], udp: [], tcp: [] },
    dhcp: { lease: 3600, mtu: true, ntp: false, domain: null, pool: 252, refuses: false },
    dns: {
      timeout: 5,
      resend: 5,
      longestUdp: 512,
      failure: "NXDOMAIN",
      marshalsAgain: false,
      compressed: false,
      hidesAaaa: true,
      redirects: false,
      hostNames: ["host.containers.internal", "host.docker.internal"],
      gatewayNames: ["gateway.containers.internal"],
    },
    refusesClosedPorts: true,
    publish: "from the gateway",
  },
};

const SLIRP4NETNS: Preset = {
  name: "slirp4netns",
  addresses: {
    ...addresses("10.0.2.0/24", "10.0.2.2", { host: "10.0.2.2", dns: "10.0.2.3", guests: ["10.0.2.15", "10.0.2.30"] }),
    mac: parseMac("52:55:0a:00:02:02"),
  },
  behaviour: {
    mtu: 1500,
    ttl: 64,
    countsAsHop: false,
    reassembles: true,
    floods: { broadcast: false, unknown: false },
    macFromAddress: true,
    endpoints: { idle: 0, sweep: 0, most: 16_384 },
    tcp: {
      halfOpen: 0,
      most: 0,
      carriesTtl: false,
      connectTimeout: 75,
      refusedAtOnce: {
        ECONNREFUSED: "reset",
        EHOSTUNREACH: { code: icmp.HOST_UNREACHABLE },
        other: { code: icmp.NET_UNREACHABLE },
      },
      refusedLater: RESET,
    },
    udp: {
      mapping: "endpoint-independent",
      idle: 240,
      idleDns: 10,
      sweep: 0,
      // Unlike libslirp, which has no limit.
      most: 65_536,
      keep: 49_152,
      mostWithDf: 0,
      checksums: true,
      refused: { EHOSTUNREACH: { code: icmp.HOST_UNREACHABLE }, other: { code: icmp.NET_UNREACHABLE } },
    },
    icmp: { idle: 10, carriesTtl: true },
    relays: {
      icmp: [icmp.UNREACHABLE, icmp.TIME_EXCEEDED],
      udp: [icmp.UNREACHABLE, icmp.TIME_EXCEEDED],
      tcp: [],
    },
    dhcp: { lease: 86_400, mtu: false, ntp: false, domain: null, pool: 16, refuses: true },
    dns: {
      timeout: 5,
      resend: 5,
      longestUdp: 65_535,
      failure: "silence",
      marshalsAgain: false,
      compressed: true,
      hidesAaaa: false,
      redirects: true,
      hostNames: [],
      gatewayNames: [],
    },
    refusesClosedPorts: true,
    publish: "from the client",
  },
};

/** vpnkit's addresses and tables, made an honest hop: every refusal is told, nothing is dropped in silence. */
const HONEST: Preset = {
  name: "honest",
  addresses: VPNKIT.addresses,
  behaviour: {
    ...VPNKIT.behaviour,
    ttl: 64,
    countsAsHop: true,
    reassembles: true,
    floods: { broadcast: true, unknown: true },
    refusesClosedPorts: true,
    tcp: {
      halfOpen: 0,
      most: 0,
      carriesTtl: true,
      connectTimeout: 0,
      refusedAtOnce: { ...TRUTHFUL, ECONNREFUSED: "reset" },
      refusedLater: { ...TRUTHFUL, ECONNREFUSED: "reset" },
    },
    dns: { ...VPNKIT.behaviour.dns, failure: "SERVFAIL", marshalsAgain: false },
    udp: { ...VPNKIT.behaviour.udp, checksums: true, refused: TRUTHFUL },
    relays: {
      icmp: [icmp.UNREACHABLE, icmp.TIME_EXCEEDED],
      udp: [icmp.UNREACHABLE, icmp.TIME_EXCEEDED],
      tcp: [icmp.UNREACHABLE, icmp.TIME_EXCEEDED],
    },
  },
};

export const PRESETS = { vpnkit: VPNKIT, gvproxy: GVPROXY, slirp4netns: SLIRP4NETNS, honest: HONEST } as const;

export type PresetName = "vpnkit" | "gvproxy" | "slirp4netns" | "honest";

export const PRESET_NAMES = Object.keys(PRESETS) as PresetName[];

/** What the guest is told of a failed call. */
export const answerTo = (answers: Answers, errno: Errno): Answer => answers[errno] ?? answers.other;
