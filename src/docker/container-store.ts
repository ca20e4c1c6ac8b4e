import { configValue, containerFolder, moment, NEVER, storedNetworks } from "./container-view.ts";
import { type Engine, isBefore } from "./engine.ts";
import { hostConfigValue } from "./host-config.ts";
import { type Container, type DockerHost, wordsOf } from "./model.ts";

/** What dockerd keeps of its containers in files; null for a path that is none of them. */
export function storedFile(host: DockerHost, path: string): string | null {
  const [, id = "", leaf = ""] = /^\/var\/lib\/docker\/containers\/([0-9a-f]{64})\/([^/]+)$/.exec(path) ?? [];
  const container = [...host.containers.values()].find((each) => each.id === id);
  if (container === undefined) return null;
  if (leaf === "hostconfig.json") return JSON.stringify(hostConfigValue(container, host.engine));
  if (leaf === "config.v2.json" && isBefore(host.engine, 18))
    return JSON.stringify(storedContainer(container, host.engine));
  if (container.started === null) return null;
  if (leaf === "hosts") return container.hostsFile;
  if (leaf === "resolv.conf") return container.resolvConf;
  return leaf === "hostname" ? `${container.hostname}\n` : null;
}

/** `config.v2.json` of 17.05; later engines keep more. */
function storedContainer(container: Container, engine: Engine): object {
  const { id, name, created, state, started, finished, processes, imageId } = container;
  const [path = "", ...rest] = wordsOf(container);
  const running = state === "running";
  const file = (leaf: string) => (started === null ? "" : `${containerFolder(container)}/${leaf}`);
  return {
    StreamConfig: {},
    State: {
      Running: running,
      Paused: false,
      Restarting: false,
      OOMKilled: false,
      RemovalInProgress: false,
      Dead: false,
      Pid: processes[0]?.pid ?? 0,
      ExitCode: 0,
      Error: "",
      StartedAt: started === null ? NEVER : moment(started),
      FinishedAt: finished === null ? NEVER : moment(finished),
      Health: null,
    },
    ID: id,
    Created: moment(created),
    Managed: false,
    Path: path,
    Args: rest,
    Config: configValue(container),
    Image: `sha256:${imageId}`,
    NetworkSettings: storedNetworks(container, engine),
    LogPath: file(`${id}-json.log`),
    Name: `/${name}`,
    Driver: "overlay2",
    MountLabel: "",
    ProcessLabel: "",
    RestartCount: 0,
    HasBeenStartedBefore: started !== null,
    HasBeenManuallyStopped: finished !== null,
    MountPoints: {},
    SecretReferences: null,
    AppArmorProfile: "",
    HostnamePath: file("hostname"),
    HostsPath: file("hosts"),
    ShmPath: "",
    ResolvConfPath: file("resolv.conf"),
    SeccompProfile: "",
    NoNewPrivileges: false,
  };
}
