// Live events of a server, with words for what goes wrong.

const RETRY = 3000; // milliseconds

// Follow `stream` until it ends. `fetched` answers the same question once, without a stream.
export function follow(stream, fetched, onJob, say) {
  const source = new EventSource(stream);
  let told = false;

  source.addEventListener("job", (event) => {
    told = false;
    say("");
    onJob(JSON.parse(event.data));
  });
  source.addEventListener("problem", (event) => {
    told = true;
    say(JSON.parse(event.data).error);
  });
  // A browser opens a stream that has ended again, every few seconds and without end, unless it is closed here.
  source.addEventListener("end", () => source.close());
  source.addEventListener("error", async () => {
    if (source.readyState !== EventSource.CLOSED) {
      if (!told) say("The connection is lost. Trying again …"); // the browser does that
      return;
    }
    // The server has refused the stream. EventSource does not say why, so ask for an answer that does.
    const { error, retry } = await problemOf(fetched);
    say(error);
    if (retry) setTimeout(() => follow(stream, fetched, onJob, say), RETRY);
  });
}

async function problemOf(address) {
  const { data, problem } = await call(address);
  return data ? { error: "", retry: true } : problem;
}

// Call the server, and return `data`, or a `problem` in words.
export async function call(address, options) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch {
    return { problem: { error: "This site cannot be reached at the moment.", retry: true } };
  }
  try {
    const body = await answer.json();
    if (answer.ok) return { data: body };
    if (body.error) return { problem: body };
  } catch {
    // An answer without words is of a proxy, or of a server that failed.
  }
  return { problem: { error: `This site has answered with ${answer.status}.`, retry: answer.status >= 500 } };
}

// Return the times of a job in words, now; `at` is when it was received.
export function times(job, at) {
  const since = job.finished ? 0 : (performance.now() - at) / 1000;
  const remaining = job.remaining === null ? 0 : job.remaining - since;
  return {
    elapsed: seconds(job.elapsed + since),
    remaining: remaining < 1 ? "" : `about ${remaining < 60 ? seconds(remaining) : `${Math.round(remaining / 60)} min`}`,
  };
}

function seconds(number) {
  const whole = Math.floor(number);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
