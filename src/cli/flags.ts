/**
 * Options as Docker's client reads them: `--name value`, `--name=value`, `--flag`, `--flag=false`, `-it`, `-p80:80`,
 * `-p=80:80`, `--` ends them. Written here because `--rm=false` and options that end at the image are outside what
 * the usual parsers do, and because the hot verbs cannot afford a parser's start-up.
 */

import { findClose } from "./close-word.ts";
import { UsageError, type OptionDefinition } from "./command.ts";
import { ABSENT_OPTIONS } from "./specs/absent-options.ts";

export class Flags {
  private readonly values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.values = values;
  }

  /** Whether a flag is on. */
  on(name: string): boolean {
    return this.values.get(name)?.at(-1) === "true";
  }

  given(name: string): boolean {
    return this.values.has(name);
  }

  text(name: string): string | undefined {
    return this.values.get(name)?.at(-1);
  }

  list(name: string): readonly string[] {
    return this.values.get(name) ?? [];
  }

  /** Checked by the parser: always finite. */
  number(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : Number(text);
  }
}

export interface Parsed {
  readonly flags: Flags;
  readonly args: readonly string[];
  /** `--help` or `-h` where that is no option of the verb's own. */
  readonly help: boolean;
}

export function parseFlags(words: readonly string[], options: readonly OptionDefinition[], stopsAtArgument = false): Parsed {
  const byName = new Map(options.map((option) => [option.name, option]));
  const byShort = new Map(options.flatMap((option) => (option.short === undefined ? [] : [[option.short, option] as const])));
  const values = new Map<string, string[]>();
  const args: string[] = [];
  let help = false;
  const keep = (option: OptionDefinition, value: string): void => {
    const checked = checkValue(option, value);
    const earlier = option.kind === "list" ? (values.get(option.name) ?? []) : [];
    values.set(option.name, [...earlier, checked]);
  };
  let index = 0;
  const valueFor = (option: OptionDefinition, shown: string): string => {
    index++;
    const value = words[index];
    if (value === undefined) throw new UsageError(`the option ${shown} needs a value${option.value === undefined ? "" : `: ${option.value}`}`);
    return value;
  };
  for (; index < words.length; index++) {
    const word = words[index] as string;
    if (word === "--") {
      args.push(...words.slice(index + 1));
      break;
    }
    if (word.startsWith("--")) {
      const equals = word.indexOf("=");
      const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
      const option = byName.get(name);
      if (option === undefined) {
        if (name === "help") {
          help = true;
          continue;
        }
        const instead = ABSENT_OPTIONS[name];
        if (instead !== undefined) throw new UsageError(`--${name} is Docker's and is not carried out here`, instead);
        throw new UsageError(`unknown option --${name}${nearest(name, options)}`);
      }
      if (equals >= 0) keep(option, word.slice(equals + 1));
      else keep(option, option.kind === "flag" ? "true" : valueFor(option, word));
    } else if (word.startsWith("-") && word.length > 1) {
      for (let at = 1; at < word.length; at++) {
        const letter = word[at] as string;
        const option = byShort.get(letter);
        if (option === undefined) {
          if (letter === "h" && word.length === 2) {
            help = true;
            break;
          }
          throw new UsageError(`unknown option -${letter} in ${word}`);
        }
        const rest = word.slice(at + 1);
        if (option.kind === "flag" && !rest.startsWith("=")) {
          keep(option, "true");
          continue;
        }
        keep(option, rest === "" ? valueFor(option, `-${letter}`) : rest.replace(/^=/, ""));
        break;
      }
    } else if (stopsAtArgument) {
      args.push(...words.slice(index));
      break;
    } else {
      args.push(word);
    }
  }
  return { flags: new Flags(values), args, help };
}

function checkValue(option: OptionDefinition, value: string): string {
  if (option.kind === "flag") {
    if (/^(1|t|T|true|TRUE|True)$/.test(value)) return "true";
    if (/^(0|f|F|false|FALSE|False)$/.test(value)) return "false";
    throw new UsageError(`--${option.name} is true or false, not ${JSON.stringify(value)}`);
  }
  if (option.kind === "number" && (value.trim() === "" || !Number.isFinite(Number(value)))) {
    throw new UsageError(`--${option.name} takes a number, not ${JSON.stringify(value)}`);
  }
  if (option.choices !== undefined && !option.choices.includes(value)) {
    throw new UsageError(`--${option.name} takes ${option.choices.join(", ")}, not ${JSON.stringify(value)}`);
  }
  return value;
}

function nearest(name: string, options: readonly OptionDefinition[]): string {
  const close = findClose(
    name,
    options.map((option) => option.name),
  );
  return close === undefined ? "" : `; did you mean --${close}?`;
}
