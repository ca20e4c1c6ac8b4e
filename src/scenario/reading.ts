import type { Project } from "../docker/command.ts";
import { parseDockerLine } from "../docker/command-line.ts";
import { parseCompose } from "../docker/compose.ts";
import type { Variables } from "../docker/interpolation.ts";
import { type Path, Source } from "../docker/source.ts";
import { type DockerSpec, type LessonSpec, type NamespaceSpec, SCENARIO } from "./format.ts";
import { buildNetwork, type Material } from "./network.ts";

/** What a list tells of a scenario. */
export interface Heading {
  readonly title: string;
  readonly lesson: LessonSpec | null;
}

/** Checks the form of a scenario, and nothing that its values mean. @throws {InputError}. */
export function readHeading(text: string, file: string): Heading {
  const { title, lesson = null } = new Source(text, file).read(SCENARIO);
  return { title, lesson };
}

export type ReadFile = (path: string) => string;

/** A scenario's text, the network that it extends, and the files that both name. @throws {InputError}. */
export function readMaterial(text: string, file: string, readFile: ReadFile | undefined): Material {
  const own = readAlone(text, file, readFile);
  const { source, spec } = own;
  if (spec.extends === undefined) {
    if (Object.keys(spec.namespaces).length === 0) throw source.error(["namespaces"], "a map of namespaces");
    return own;
  }
  const named = readNamed(source, spec.extends, ["extends"], readFile);
  const base = readAlone(named.text, named.path, readFile);
  if (base.spec.extends !== undefined) throw source.error(["extends"], "a scenario that extends no other");
  buildNetwork(base, 1);
  return extend(own, base);
}

function readAlone(text: string, file: string, readFile: ReadFile | undefined): Material {
  const source = new Source(text, file);
  const spec = source.read(SCENARIO);
  const files = new Map<string, { readonly path: string; readonly text: string }>();
  const read = (name: string | undefined, at: Path) => {
    if (name !== undefined && !files.has(name)) files.set(name, readNamed(source, name, at, readFile));
  };
  for (const [name, { rules_file }] of Object.entries(spec.namespaces))
    read(rules_file, ["namespaces", name, "rules_file"]);
  for (const [i, { rules_file }] of (spec.steps ?? []).entries()) read(rules_file, ["steps", i, "rules_file"]);
  return { source, spec, files, docker: readDocker(source, spec.docker, readFile) };
}

/** What the lines of `docker: run:` ask for, and then its compose file. */
function readDocker(source: Source, spec: DockerSpec | undefined, readFile: ReadFile | undefined): Project {
  const lines = (spec?.run ?? []).map((line, i) =>
    parseDockerLine(line, source.placeInside(["docker", "run", i], 1, 1)),
  );
  const compose = spec?.compose === undefined ? null : readCompose(source, spec.compose, readFile);
  return {
    commands: [...lines.map(({ command }) => command), ...(compose?.commands ?? [])],
    notices: [...lines.flatMap(({ notices }) => notices), ...(compose?.notices ?? [])],
  };
}

/** A compose file by its path, with the `.env` beside it, or one that stands in the scenario itself. */
function readCompose(source: Source, compose: NonNullable<DockerSpec["compose"]>, readFile: ReadFile | undefined) {
  const path: Path = ["docker", "compose"];
  if (typeof compose !== "string") {
    const project = source.file.replace(/^.*\//, "").replace(/\.ya?ml$/, "");
    return parseCompose(new Source(source.text, source.file, path), { project });
  }
  const file = readNamed(source, compose, path, readFile);
  const folder = file.path.slice(0, file.path.lastIndexOf("/") + 1);
  const project = folder.replace(/\/$/, "").replace(/^.*\//, "").replace(/^\.*$/, "") || "compose";
  return parseCompose(new Source(file.text, file.path), {
    project,
    variables: readVariables(`${folder}.env`, readFile),
  });
}

function readVariables(path: string, readFile: ReadFile | undefined): Variables {
  let text: string;
  try {
    text = readFile?.(path) ?? "";
  } catch {
    return {};
  }
  const lines = text.split(/\r?\n/).map((line) => /^\s*(?:export\s+)?(\w+)\s*=\s*(.*?)\s*$/.exec(line));
  return Object.fromEntries(lines.flatMap((match) => (match === null ? [] : [[match[1]!, unquoted(match[2]!)]])));
}

const unquoted = (text: string): string => /^(["'])(.*)\1$/.exec(text)?.[2] ?? text;

/** A file by the path that a scenario gives, from the scenario's folder. */
function readNamed(source: Source, name: string, at: Path, readFile: ReadFile | undefined) {
  const path = name.startsWith("/") ? name : source.file.slice(0, source.file.lastIndexOf("/") + 1) + name;
  try {
    if (readFile === undefined) throw new Error("this scenario may read no files");
    return { path, text: readFile(path) };
  } catch (error) {
    throw source.error(at, `a file that can be read (${(error as Error).message})`);
  }
}

/** The namespaces, translators, links and docker commands of `base` and what `own` adds to them; of what both say, `own` counts. */
function extend(own: Material, base: Material): Material {
  const files = new Map(own.files);
  const namespaces = { ...own.spec.namespaces };
  for (const [name, { rules, rules_file, ...inherited }] of Object.entries(base.spec.namespaces)) {
    const added = own.spec.namespaces[name] ?? {};
    const merged: NamespaceSpec = { ...inherited, ...added };
    if (inherited.devices !== undefined) merged.devices = { ...inherited.devices, ...added.devices };
    if (inherited.sysctls !== undefined) merged.sysctls = { ...inherited.sysctls, ...added.sysctls };
    if (added.rules === undefined && added.rules_file === undefined) {
      if (rules !== undefined) merged.rules = rules;
      if (rules_file !== undefined) {
        const file = base.files.get(rules_file)!;
        files.set(file.path, file);
        merged.rules_file = file.path;
      }
    }
    namespaces[name] = merged;
  }
  // The own links come first, so that an error about one of them finds its place.
  const links = [...(own.spec.links ?? []), ...(base.spec.links ?? [])];
  const spec = { ...own.spec, namespaces, links };
  if (base.spec.translators !== undefined) spec.translators = { ...base.spec.translators, ...own.spec.translators };
  if (base.spec.docker !== undefined) spec.docker = { ...base.spec.docker, ...own.spec.docker };
  const docker = {
    commands: [...base.docker.commands, ...own.docker.commands],
    notices: [...base.docker.notices, ...own.docker.notices],
  };
  return { source: own.source, spec, files, docker };
}
