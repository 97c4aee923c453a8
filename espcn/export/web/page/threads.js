// A worker made of this page's own script, and what it says, one message after another.

function startWorker(signal) {
  const code = document.getElementById("work-code").textContent;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const worker = new Worker(url);
  let [heard, wake] = [[], () => {}];
  const hear = (message) => {
    heard.push(message);
    wake();
  };
  worker.onmessage = ({ data }) => hear(data);
  worker.onerror = (event) => hear({ failed: `An error occurred: ${event.message}.` });
  signal.addEventListener("abort", () => hear({ failed: "" }));
  worker.messages = (async function* () {
    for (;;) {
      if (!heard.length) await new Promise((resolve) => (wake = resolve));
      for (const message of heard.splice(0)) {
        if (signal.aborted) throw new Stopped();
        if ("failed" in message) throw new Refused(message.failed, message.engine);
        yield message;
      }
    }
  })();
  return worker;
}

// What can't be done, in a sentence; and by which engine, if others may do it.
class Refused extends Error {
  constructor(sentence, engine) {
    super(sentence);
    this.engine = engine;
  }
}

// Something else was asked for meanwhile.
class Stopped extends Error {}
