import { describe, expect, it } from "vitest";
import { compileTemplate } from "./template.ts";

const WEB = {
  Id: "abc",
  Name: "/web",
  State: { Status: "running", ExitCode: 0 },
  Config: { Env: ["A=1", "B=2"], Labels: { team: "red", "a.b": "dotted" } },
  Ports: { "80/tcp": [{ HostPort: "8080" }] },
  Empty: [],
};

const render = (template: string): string => compileTemplate(template)(WEB);

describe("templates", () => {
  it.each([
    ["{{.Name}}", "/web"],
    ["{{ .State.Status }}/{{.State.ExitCode}}", "running/0"],
    ["{{.ID}}", "abc"],
    ["{{json .State}}", '{"Status":"running","ExitCode":0}'],
    ["{{.Config.Env}}", "[A=1 B=2]"],
    ["{{.Config.Labels}}", "map[a.b:dotted team:red]"],
    ['{{join .Config.Env ", "}}', "A=1, B=2"],
    ["{{upper .Name}} {{.Name | lower}} {{title .State.Status}}", "/WEB /web Running"],
    ['{{index .Config.Labels "a.b"}}', "dotted"],
    ["{{index .Config.Env 1}}", "B=2"],
    ['{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"],
    ["{{range .Config.Env}}<{{.}}>{{end}}", "<A=1><B=2>"],
    ["{{range $i, $e := .Config.Env}}{{$i}}={{$e}};{{end}}", "0=A=1;1=B=2;"],
    ["{{range $k, $v := .Config.Labels}}{{$k}}:{{$v}} {{end}}", "a.b:dotted team:red "],
    ["{{range .Empty}}x{{else}}none{{end}}", "none"],
    ["{{if .Empty}}full{{else}}empty{{end}}", "empty"],
    ['{{if eq .State.Status "exited"}}a{{else if eq .State.Status "running"}}b{{else}}c{{end}}', "b"],
    ["{{with .State}}{{.Status}} {{$.Name}}{{end}}", "running /web"],
    ["{{$x := .Name}}[{{$x}}]", "[/web]"],
    ["{{$x := .State}}{{$x.Status}}", "running"],
    ["{{println .Id}}", "abc\n"],
    ['{{printf "%s-%d-%-5s|" .Id .State.ExitCode .Id}}', "abc-0-abc  |"],
    ["{{len .Config.Env}}", "2"],
    ["a {{- .Id -}} b", "aabcb"],
    ["{{/* nothing */}}x", "x"],
    ["{{.Config.Labels.nothing}}", "<no value>"],
    ["{{and .Id .Name}} {{or .Empty .Id}} {{not .Empty}}", "/web abc true"],
    ['{{split .Name "/" | len}}', "2"],
    ["{{`a}}b`}}", "a}}b"],
    ["{{.Id}}\\t{{.Name}}", "abc\t/web"],
  ])("%s", (template, expected) => expect(render(template)).toBe(expected));

  it.each([
    ["{{nope .Id}}", /function "nope" that does not exist/],
    ["{{.Nope}}", /asks for \.Nope/],
    ["{{.Id", /without its }}/],
    ["{{if .Id}}x", /without its {{end}}/],
    ["x{{end}}", /nothing opened/],
    ["{{}}", /empty/],
    ["{{.Id ~}}", /cannot be read/],
    ["{{(.Id}}", /\( without/],
    ["{{$y}}", /variable \$y/],
    ["{{index .Config.Env 9}}", /outside a list of 2/],
    ["{{join .Name}}", /takes a list/],
  ])("%s is refused in a sentence", (template, message) => expect(() => render(template)).toThrow(message));
});
