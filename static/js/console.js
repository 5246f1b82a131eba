import { startBulk } from "./bulk.js";
import { startChoices } from "./choices.js";
import { startClocks } from "./clocks.js";
import { startColours } from "./colours.js";
import { startConfirming } from "./confirming.js";
import { startDrafts } from "./drafts.js";
import { startFollow, toggle } from "./follow.js";
import { startForms } from "./forms.js";
import { startKeys } from "./keys.js";
import { startLines } from "./lines.js";
import { startLists } from "./lists.js";
import { startLive } from "./live.js";
import { startLook } from "./look.js";
import { startPalette } from "./palette.js";
import { startPicks } from "./picks.js";
import { startReview } from "./review.js";
import { newest, startRows } from "./rows.js";
import { startStream } from "./stream.js";
import { startTrace } from "./trace.js";

const jump = (name) => name === "events" && newest();
const keys = {
  f: () => toggle("stream", jump),
  l: () => {
    const next = document.querySelector(".graph")?.dataset.view === "list" ? "graph" : "list";
    document.querySelector(`a[data-view="${next}"]`)?.click();
  },
};

startForms();
startPalette();
startKeys();
startBulk();
startLists();
startLook();
startClocks();
startColours();
startLines();
startDrafts();
startConfirming();
startReview();
startRows();
startFollow(jump);
startStream();
startPicks();
startChoices();
startTrace();
startLive();
document.addEventListener("countersign:key", ({ detail }) => {
  if (!keys[detail.key] || !document.getElementById("stream")) return;
  keys[detail.key]();
  detail.done = true;
});
