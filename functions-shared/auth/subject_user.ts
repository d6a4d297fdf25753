/** Whom a request is about: a person is always themselves, a service must name somebody. */

import { Problem } from "../http/problem.ts";
import type { Caller } from "./caller.ts";

/**
 * @param caller the verified caller.
 * @param named the `user_id` of the request, if it has one.
 * @returns the user id to act for.
 * @throws {Problem} 403 `not_your_user`, 422 `user_id_required`.
 */
export function subjectUser(caller: Caller, named?: string): string {
  if (caller.kind === "user") {
    if (named !== undefined && named.toLowerCase() !== caller.userId) {
      throw new Problem(403, "not_your_user", "A user may act only for themselves.", {
        errors: [{ pointer: "/user_id", code: "not_your_user", detail: "Leave it out." }],
      });
    }
    return caller.userId;
  }
  if (named === undefined) {
    throw new Problem(422, "user_id_required", "A service must name the user it acts for.", {
      errors: [{ pointer: "/user_id", code: "required", detail: "Add user_id, a uuid." }],
    });
  }
  return named.toLowerCase();
}
