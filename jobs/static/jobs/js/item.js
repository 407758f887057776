// The page of one item.

import "./copy.js";
