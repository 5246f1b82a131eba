// Answers of the server go into the page one at a time: what one adds, the next must know of.

let running = null;

export async function alone(work) {
  while (running) await running;
  running = work();
  try {
    return await running;
  } finally {
    running = null;
  }
}
