import type { PortSpec } from "./command.ts";
import { type Engine, isBefore } from "./engine.ts";
import type { Container } from "./model.ts";

/** What an engine hides of `/proc` and `/sys`. */
const MASKED = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
];
const READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const listOrNull = <T>(list: readonly T[]): readonly T[] | null => (list.length > 0 ? list : null);

/** `PortBindings`, in the order they were asked for. */
export function portBindings(ports: readonly PortSpec[]): Record<string, object[]> {
  const found: Record<string, object[]> = {};
  for (const { containerPort, protocol, hostAddress, hostPort } of ports) {
    const key = `${containerPort}/${protocol}`;
    const binding = { HostIp: hostAddress, HostPort: hostPort === null ? "" : String(hostPort) };
    found[key] = [...(found[key] ?? []), binding];
  }
  return found;
}

/** As Go prints a map. */
export const sorted = <T>(map: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));

/** `HostConfig` (`hostconfig.json`). What has nothing to do with networks stands at its default. */
export function hostConfigValue(container: Container, engine: Engine): object {
  const { spec, networkMode } = container;
  const before = (major: number) => isBefore(engine, major);
  const given = spec.networking.kind !== "networks" || spec.networking.given || !before(26);
  const console = { ConsoleSize: [0, 0] };
  const sysctls = Object.fromEntries([...spec.sysctls].map(([key, { text }]) => [key, text]));
  return {
    Binds: listOrNull(spec.binds.map(({ source, target, readOnly }) => `${source}:${target}${readOnly ? ":ro" : ""}`)),
    ContainerIDFile: "",
    LogConfig: { Type: "json-file", Config: {} },
    NetworkMode: given ? networkMode : "default",
    PortBindings: sorted(portBindings(spec.ports)),
    RestartPolicy: restartPolicy(spec.host.restart),
    AutoRemove: spec.host.autoRemove,
    VolumeDriver: "",
    VolumesFrom: null,
    ...(before(23) ? {} : console),
    CapAdd: null,
    CapDrop: null,
    ...(before(20) ? {} : { CgroupnsMode: "private" }),
    Dns: spec.dns,
    DnsOptions: spec.dnsOptions,
    DnsSearch: spec.dnsSearch,
    ExtraHosts: listOrNull(spec.extraHosts.map(({ host, address }) => `${host}:${address}`)),
    GroupAdd: null,
    IpcMode: before(18) ? "" : "private",
    Cgroup: "",
    Links: null,
    OomScoreAdj: 0,
    PidMode: "",
    Privileged: spec.host.privileged,
    PublishAllPorts: spec.publishAll,
    ReadonlyRootfs: false,
    SecurityOpt: null,
    UTSMode: "",
    UsernsMode: "",
    ShmSize: 67_108_864,
    ...(spec.sysctls.size > 0 ? { Sysctls: sysctls } : {}),
    Runtime: "runc",
    ...(before(23) ? console : {}),
    Isolation: "",
    ...resources(engine),
    ...(before(18) ? {} : { MaskedPaths: [...MASKED, ...(before(24) ? [] : ["/sys/devices/virtual/powercap"])] }),
    ...(before(18) ? {} : { ReadonlyPaths: READ_ONLY }),
  };
}

/** `on-failure:3` as the API has it. */
export function restartPolicy(text: string): { readonly Name: string; readonly MaximumRetryCount: number } {
  const [Name = "no", count = "0"] = text.split(":");
  return { Name, MaximumRetryCount: Number(count) };
}

/** `container.Resources`, none of them limited. */
function resources(engine: Engine): object {
  const before = (major: number) => isBefore(engine, major);
  const none = before(23) ? null : [];
  return {
    CpuShares: 0,
    Memory: 0,
    NanoCpus: 0,
    CgroupParent: "",
    BlkioWeight: 0,
    BlkioWeightDevice: before(18) ? null : [],
    BlkioDeviceReadBps: none,
    BlkioDeviceWriteBps: none,
    BlkioDeviceReadIOps: none,
    BlkioDeviceWriteIOps: none,
    CpuPeriod: 0,
    CpuQuota: 0,
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
    CpusetCpus: "",
    CpusetMems: "",
    Devices: [],
    DeviceCgroupRules: null,
    ...(before(18) ? { DiskQuota: 0 } : { DeviceRequests: null }),
    ...(before(23) ? { KernelMemory: 0 } : {}),
    ...(before(18) || !before(23) ? {} : { KernelMemoryTCP: 0 }),
    MemoryReservation: 0,
    MemorySwap: 0,
    MemorySwappiness: before(18) ? -1 : null,
    OomKillDisable: before(23) ? false : null,
    PidsLimit: before(18) ? 0 : null,
    Ulimits: before(25) ? null : [],
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
  };
}
