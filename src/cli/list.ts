import { LESSON_GROUPS } from "../scenario/scenario.ts";
import { loadHeading, scenarioNames } from "./scenario-file.ts";

/** `hopscope list`: the scenarios that come with hopscope. */
export function list(): string {
  const names = scenarioNames();
  const width = Math.max(...names.map((name) => name.length));
  return names.map((name) => `${name.padEnd(width)}  ${loadHeading(name).title}\n`).join("");
}

/** `hopscope list --course`: the lessons in their groups, each with the belief that it corrects. */
export function listCourse(): string {
  const lessons = scenarioNames().flatMap((name) => {
    const { title, lesson } = loadHeading(name);
    return lesson === null ? [] : [{ name, title, ...lesson }];
  });
  lessons.sort((a, b) => a.number - b.number);
  const width = Math.max(...lessons.map(({ name }) => name.length));
  const lines = LESSON_GROUPS.flatMap((group) => {
    const members = lessons.filter((lesson) => lesson.group === group);
    if (members.length === 0) return [];
    const told = members.map(
      ({ number, name, belief }) => `${String(number).padStart(4)}  ${name.padEnd(width)}  "${belief}"`,
    );
    return [group, ...told, ""];
  });
  return [...lines, "hopscope run <lesson> asks first, then shows.", ""].join("\n");
}
