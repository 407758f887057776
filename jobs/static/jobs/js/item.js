// The page of one item.

import { startAsking } from "./confirm_retry.js";
import "./copy.js";
import { $ } from "./shell.js";

startAsking({ stays: false });
if (!$("#errors")) $("#edit-form textarea")?.focus();
