import { startClocks } from "./clocks.js";
import { startDrafts } from "./drafts.js";
import { startForms } from "./forms.js";
import { startKeys } from "./keys.js";
import { startLists } from "./lists.js";
import { startLive } from "./live.js";
import { startPalette } from "./palette.js";
import { startReview } from "./review.js";
import { startStream } from "./stream.js";

startForms();
startPalette();
startKeys();
startLists();
startClocks();
startDrafts();
startReview();
startStream();
startLive();
