/** `POST /auth`: `docker login` asks whether a registry takes what was typed. The client keeps it; this daemon does not. */

import { Type } from "@sinclair/typebox";
import { Failure } from "../../contract/failure.ts";
import { readJson, shape } from "../body.ts";
import type { Route } from "../router.ts";
import type { DockerParts } from "./parts.ts";
import { present } from "./present.ts";

const text = Type.Optional(Type.String());
const authShape = shape(Type.Object({ username: text, password: text, identitytoken: text, serveraddress: text, auth: text, email: text }));

export function authRoutes(parts: DockerParts): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/auth",
      async handle(exchange) {
        const body = await readJson(exchange, authShape);
        const credentials = present({
          username: body.username || undefined,
          password: body.password || undefined,
          identityToken: body.identitytoken || undefined,
        });
        if (Object.keys(credentials).length === 0)
          throw new Failure("INVALID_SPEC", "no credentials were given", { remedy: "Give a user name and a password." });
        await parts.images.checkLogin(body.serveraddress || "docker.io", credentials, exchange.call);
        exchange.json(200, { Status: "Login Succeeded", IdentityToken: "" });
      },
    },
  ];
}
